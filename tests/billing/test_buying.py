"""A purchase from end to end: Checkout, the card, what Stripe says, what the customer has afterwards."""

from __future__ import annotations

import json

import pytest

from tests.billing.world import DECLINES, World
from tollhouse.billing import actions
from tollhouse.kernel.errors import Conflict, InvalidRequest


@pytest.mark.row("A3", "S9", "S24", "S7")
async def test_paying_for_starter_gives_its_credits_and_its_plan(world: World) -> None:
    ada = await world.customer()
    assert await world.credits(ada) == 100

    sent_to = await world.buy(ada, "starter")
    await world.catch_up()

    assert sent_to.startswith("http://127.0.0.1:8787/app/billing?checkout=success&session=cs_")
    state = await world.state(ada)
    assert (state.plan, state.standing) == ("starter", "good")
    assert await world.credits(ada) == 1_000
    assert [lot.used for lot in state.lots["credits"]] == [0]
    upgrade = [entry for entry in await world.book(ada) if entry.action == "plan_upgraded"]
    assert len(upgrade) == 1
    noted = json.loads(upgrade[0].metadata or "{}")
    assert (noted["plan"], noted["credits_granted"]) == ("starter", 1_000)
    assert await world.facts("customer.plan.changed") == [
        {
            "fact": "customer.plan.changed",
            "customer": ada,
            "before": "free",
            "after": "starter",
            "at_ms": (await world.facts("customer.plan.changed"))[0]["at_ms"],
        }
    ]
    assert set(await world.events_by_status()) == {"done"}


async def test_a_declined_card_changes_nothing(world: World) -> None:
    ada = await world.customer()
    before = await world.end_state(ada)

    page = await world.buy(ada, "starter", DECLINES)
    await world.catch_up()

    assert "Your card was declined." in page
    assert await world.end_state(ada) == before
    assert await world.facts("customer.plan.changed") == []


@pytest.mark.row("U1")
@pytest.mark.parametrize(("interval", "amount"), [("month", 400), ("year", 3_000)])
async def test_both_prices_of_a_plan_can_be_bought(world: World, interval: str, amount: int) -> None:
    ada = await world.customer()

    await world.buy(ada, "premium", interval=interval)
    await world.catch_up()

    assert (await world.state(ada)).plan == "premium"
    assert await world.credits(ada) == 500
    async with world.store.reading() as tx:
        subscription = await actions.subscription_of(tx, ada)
        invoices = await actions.invoices_of(tx, ada)
    assert subscription is not None
    assert (subscription.every, subscription.price.amount_minor) == (interval, amount)
    assert [(invoice.status, invoice.paid.amount_minor, invoice.paid.currency) for invoice in invoices] == [
        ("paid", amount, "eur")
    ]


async def test_who_has_a_subscription_is_sent_to_the_portal(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()

    with pytest.raises(Conflict) as refused:
        await world.buy(ada, "pro")

    assert refused.value.code == "already_subscribed"
    assert str(refused.value.fields["url"]).startswith(world.sandbox_url)


async def test_a_second_tab_is_refused_even_before_the_webhook_comes(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")

    with pytest.raises(Conflict, match="subscription already"):
        await world.buy(ada, "pro")


async def test_only_the_newest_checkout_page_stays_open(world: World) -> None:
    ada = await world.customer()
    payer = await world.payer(ada)

    for plan in ("starter", "pro", "premium"):
        last = await actions.start_checkout(world.till, payer, plan)

    async with world.store.reading() as tx:
        link = await actions.link_of_customer(tx, ada)
    assert link is not None
    still_open = await world.gateway.open_checkouts(link.id)
    assert [page.url for page in still_open] == [last]


@pytest.mark.parametrize(
    ("plan", "interval", "code", "allowed"),
    [
        ("gold", None, "unknown_plan", "starter, premium, pro"),
        ("free", None, "plan_not_for_sale", "starter, premium, pro"),
        ("vast", None, "plan_not_for_sale", "starter, premium, pro"),
        ("starter", "year", "unknown_interval", "month"),
        ("premium", "weekly", "unknown_interval", "month, year"),
    ],
)
async def test_what_is_not_sold_is_refused_with_what_is(
    world: World, plan: str, interval: str | None, code: str, allowed: str
) -> None:
    ada = await world.customer()
    with pytest.raises(InvalidRequest) as refused:
        await world.buy(ada, plan, interval=interval)
    assert (refused.value.code, refused.value.fields["allowed"]) == (code, allowed)
