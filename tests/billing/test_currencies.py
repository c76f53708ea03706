"""One currency a customer: chosen freely before the first purchase, fixed by it, never mixed (row X12)."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from tests.billing.world import CATALOG, PAYS, World, opened
from tollhouse.billing import actions
from tollhouse.catalog.model import Pack, PackPrice, Price
from tollhouse.kernel.errors import Conflict, InvalidRequest
from tollhouse.kernel.money import Money


def _price(plan: str, amount: int, every: Any, currency: str) -> Price:
    return Price(amount, currency, every, f"tollhouse_{plan}_{every}_{currency}")


_STARTER = (
    _price("starter", 900, "month", "usd"),
    _price("starter", 9_000, "year", "usd"),
    _price("starter", 1_200, "month", "jpy"),
)
_REFILL = tuple(
    PackPrice(amount, code, f"tollhouse_pack_refill_once_{code}")
    for amount, code in ((700, "usd"), (1_000, "jpy"), (650, "eur"))
)
SELLING = msgspec.structs.replace(
    CATALOG,
    plans={**CATALOG.plans, "starter": msgspec.structs.replace(CATALOG.plans["starter"], prices=_STARTER)},
    packs={"refill": Pack("refill", "500 credits", "credits", 500_000, _REFILL)},
)


async def plan_page(world: World, customer: str, plan: str, currency: str | None = None, every: str = "month") -> str:
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, customer)
    return await actions.start_checkout(world.till, payer, plan, every, currency=currency)


async def pack_page(world: World, customer: str, currency: str | None = None) -> str:
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, customer)
    return await actions.start_pack_checkout(world.till, payer, "refill", currency=currency)


async def own(world: World, customer: str) -> str | None:
    async with world.store.reading() as tx:
        return await actions.currency_of(tx, customer)


@pytest.mark.row("X12")
async def test_a_price_in_yen_is_bought_kept_and_renewed_in_whole_yen(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        assert "¥1,200" in await world.submit(await plan_page(world, ada, "starter", "jpy"), "4000000000000002")
        await world.submit(await plan_page(world, ada, "starter", "JPY"), PAYS)
        await world.catch_up()
        await world.pass_days(31)
        await world.catch_up()
        async with world.store.reading() as tx:
            subscription = await actions.subscription_of(tx, ada)
            invoices = await actions.invoices_of(tx, ada)
        assert subscription is not None
        assert (subscription.plan, subscription.price) == ("starter", Money(1_200, "jpy"))
        assert [invoice.paid for invoice in invoices] == [Money(1_200, "jpy")] * 2
        assert await own(world, ada) == "jpy"


@pytest.mark.row("X12")
async def test_the_first_purchase_fixes_the_currency_of_all_later_ones(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        await world.submit(await pack_page(world, ada, "jpy"), PAYS)
        await world.catch_up()

        with pytest.raises(InvalidRequest, match="pays in jpy since its first purchase") as refused:
            await pack_page(world, ada, "usd")
        assert (refused.value.code, refused.value.fix) == (
            "currency_fixed", "send jpy, or leave `currency` out",
        )  # fmt: skip
        with pytest.raises(InvalidRequest, match="pays in jpy"):
            await plan_page(world, ada, "starter", "usd")
        with pytest.raises(InvalidRequest, match="the plan 'premium' has no price in jpy"):
            await plan_page(world, ada, "premium")
        with pytest.raises(InvalidRequest, match="has no price for the interval 'year'"):
            await plan_page(world, ada, "starter", every="year")

        assert "¥1,000" in await world.submit(await pack_page(world, ada), "4000000000000002")
        await world.submit(await plan_page(world, ada, "starter"), PAYS)
        await world.catch_up()
        async with world.store.reading() as tx:
            subscription = await actions.subscription_of(tx, ada)
        assert subscription is not None
        assert subscription.price == Money(1_200, "jpy")
        with pytest.raises(Conflict, match="has a subscription already"):
            await plan_page(world, ada, "premium")


@pytest.mark.row("X12")
async def test_a_subscription_that_is_over_leaves_the_currency_as_it_was(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        await world.submit(await plan_page(world, ada, "starter", "jpy"), PAYS)
        await world.catch_up()
        async with world.store.reading() as tx:
            subscription = await actions.subscription_of(tx, ada)
        assert subscription is not None
        await world.stripe("delete", f"/v1/subscriptions/{subscription.id}")
        await world.catch_up()
        with pytest.raises(InvalidRequest, match="pays in jpy"):
            await plan_page(world, ada, "starter", "usd")


@pytest.mark.row("X12")
async def test_before_it_the_customer_may_choose_and_only_the_newest_choice_stays_open(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        dollars, euros = await pack_page(world, ada), await pack_page(world, ada, "eur")
        assert "has expired" in await world.submit(dollars, PAYS)
        await world.submit(euros, PAYS)
        await world.catch_up()
        assert await own(world, ada) == "eur"
        with pytest.raises(InvalidRequest, match="no price in gbp") as refused:
            await pack_page(world, await world.customer("bob@example.com"), "gbp")
        assert (refused.value.code, refused.value.fields["allowed"]) == ("unknown_currency", "usd, jpy, eur")


@pytest.mark.row("X12")
async def test_in_any_order_of_the_events_the_first_purchase_counts(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        for number, order in enumerate(itertools.permutations(range(3))):
            ada = await world.customer(f"ada-{number}@example.com")
            await world.submit(await pack_page(world, ada, "eur"), PAYS)
            await world.pass_seconds(60)
            async with world.store.reading() as tx:
                link = await actions.link_of_customer(tx, ada)
            assert link is not None
            for item in ("usd", "jpy"):  # written by hand in Stripe's dashboard
                await world.stripe("post", "/v1/invoiceitems", customer=link.id, currency=item, amount=500)
            events = [event for event in await world.new_events() if event["type"].startswith(("check", "pay", "char"))]
            await world.receive([events[place] for place in order if place < len(events)])
            await world.work()
            assert await own(world, ada) == "eur"


@pytest.mark.row("X12")
async def test_stripe_combines_no_two_currencies_of_running_subscriptions(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        await world.submit(await plan_page(world, ada, "starter", "jpy"), PAYS)
        async with world.store.reading() as tx:
            link = await actions.link_of_customer(tx, ada)
        assert link is not None
        price = await world.gateway.price_of_key("tollhouse_starter_month_usd")
        assert price is not None
        with pytest.raises(InvalidRequest, match="You cannot combine currencies on a single customer"):
            await world.gateway.create_checkout(
                link.id, price.id, mode="subscription", customer=ada, metadata={}, success_url="http://127.0.0.1/",
                cancel_url="http://127.0.0.1/", terms=world.catalog.terms,
            )  # fmt: skip
