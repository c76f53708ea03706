"""What becomes of a subscription: renewed, failed and recovered, cancelled; and what the customer has then."""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import msgspec
import pytest

from tests.billing.steps import attach, move_to, pay_open_invoice, spend, stripe_id_of, subscription_id_of
from tests.billing.world import CATALOG, FAILS_LATER, World, _submit, opened
from tollhouse.billing import actions
from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.money import Money
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.granting import NewLot


@pytest.mark.row("A3", "S9")
async def test_a_paid_renewal_resets_the_plan_and_leaves_top_ups(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    async with world.store.transaction() as tx:
        await ledger.grant(
            tx, world.catalog, ada, NewLot("credits", 70_000, "topup"), world.store.clock.now_ms(),
            key="top-up", fingerprint=b"t" * 16, reason="bought",
        )  # fmt: skip
    await spend(world, ada, 900)
    assert await world.credits(ada) == 170

    await world.pass_days(31)
    await world.catch_up()

    assert await world.credits(ada) == 1_070
    renewals = [entry for entry in await world.book(ada) if entry.action == "plan_renewed"]
    assert [json.loads(entry.metadata or "{}")["credits_granted"] for entry in renewals] == [1_000]
    assert len(await world.facts("customer.plan.changed")) == 1


@pytest.mark.row("S9")
async def test_a_failed_renewal_is_past_due_until_it_is_paid(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter", FAILS_LATER)
    await world.catch_up()
    await spend(world, ada, 1_000)

    await world.pass_days(31)
    await world.catch_up()

    state = await world.state(ada)
    assert (state.plan, state.standing) == ("starter", "past_due")
    assert await world.credits(ada) == 0
    failures = await world.facts("payment.failed")
    assert [(fact["customer"], fact["amount_minor"], fact["currency"]) for fact in failures] == [(ada, 900, "usd")]

    await pay_open_invoice(world, ada)
    await world.catch_up()

    assert (await world.state(ada)).standing == "good"
    assert await world.credits(ada) == 1_000


@pytest.mark.row("S9")
async def test_a_deleted_subscription_falls_back_to_free_and_keeps_what_was_paid(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()

    await world.stripe("delete", f"/v1/subscriptions/{await subscription_id_of(world, ada)}")
    await world.catch_up()

    assert (await world.state(ada)).plan == "free"
    assert await world.credits(ada) == 1_000
    await world.pass_days(31)
    assert await world.credits(ada) == 0
    assert [fact["after"] for fact in await world.facts("customer.plan.changed")] == ["starter", "free"]


async def test_a_cancellation_at_the_periods_end_is_known_before_and_needs_no_event(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    subscription = await subscription_id_of(world, ada)

    await world.stripe("post", f"/v1/subscriptions/{subscription}", cancel_at_period_end=True)
    await world.catch_up()
    state = await world.state(ada)
    assert (state.plan, state.ends_at) == ("starter", state.quotas["sessions"].end)

    await world.pass_days(31)
    assert (await world.state(ada)).plan == "free"
    before = await world.end_state(ada)
    await world.catch_up()
    after = await world.end_state(ada)
    assert (after["plan"], after["lots"]) == (before["plan"], before["lots"])


@pytest.mark.row("U1")
async def test_a_yearly_price_brings_its_credits_month_by_month(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "premium", interval="year")
    await world.catch_up()
    await spend(world, ada, 500)

    for _ in range(12):
        await world.pass_days(31)  # twelve times 31 days pass the year's end
        await world.catch_up()
        assert await world.credits(ada) == 500
        await spend(world, ada, 123)

    months = [entry for entry in await world.book(ada) if entry.action in ("plan_upgraded", "plan_renewed")]
    assert len(months) == 13
    async with world.store.reading() as tx:
        invoices = await actions.invoices_of(tx, ada)
    assert [invoice.paid.amount_minor for invoice in invoices] == [3_000, 3_000]


async def test_months_that_nobody_worked_in_are_made_up_for(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "premium", interval="year")
    await world.catch_up()
    await spend(world, ada, 400)

    await world.pass_days(95)
    await world.catch_up()

    assert await world.credits(ada) == 500
    months = [entry for entry in await world.book(ada) if entry.action.startswith("plan_renewed")]
    assert len(months) == 3


async def test_a_second_subscription_is_told_to_staff_and_adds_nothing(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    stripe_id = await stripe_id_of(world, ada)
    pro = await world.gateway.price_of_key("tollhouse_pro_month_usd")
    assert pro is not None

    card = await attach(world, stripe_id)
    second = await world.stripe(
        "post", "/v1/subscriptions", customer=stripe_id, items=[{"price": pro.id}], default_payment_method=card
    )
    await world.catch_up()

    assert second["status"] == "active"
    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000
    assert [alert["key"] for alert in await world.facts("operator.alert")] == [f"second_subscription:{second['id']}"]

    await world.stripe("delete", f"/v1/subscriptions/{await subscription_id_of(world, ada)}")
    await world.catch_up()
    assert (await world.state(ada)).plan == "pro"
    assert await world.credits(ada) == 15_000


async def test_an_upgrade_with_proration_brings_the_higher_plans_credits_once(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()

    for plan in ("pro", "starter", "pro"):
        await world.pass_days(1)
        await move_to(world, ada, plan)
        await world.catch_up()

    assert (await world.state(ada)).plan == "pro"
    assert await world.credits(ada) == 15_000
    granted = [json.loads(e.metadata or "{}")["plan"] for e in await world.book(ada) if e.action == "plan_upgraded"]
    assert granted == ["starter", "pro"]


@pytest.mark.row("X4")
async def test_who_has_bought_stays_on_the_version_that_was_bought(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    old = world.catalog.plans["starter"]
    newer = _with_credits(old, 10)
    world.catalog = _sold_now(world.catalog, newer)
    await actions.ensure_prices(world.store, world.gateway, world.catalog)

    await world.pass_days(31)
    await world.catch_up()
    eve = await world.customer("eve@example.com")
    await world.buy(eve, "starter")
    await world.catch_up()

    assert ((await world.state(ada)).plan_version, await world.credits(ada)) == (1, 1_000)
    assert ((await world.state(eve)).plan_version, await world.credits(eve)) == (2, 10)


def _with_credits(plan: PlanVersion, credits: int) -> PlanVersion:
    grants = tuple(msgspec.structs.replace(grant, amount=credits * 1000) for grant in plan.grants)
    return msgspec.structs.replace(plan, version=plan.version + 1, grants=grants)


def _sold_now(catalog: Catalog, newer: PlanVersion) -> Catalog:
    versions = {(plan.plan, plan.version): plan for plan in catalog.plans.values()}
    return msgspec.structs.replace(catalog, plans={**catalog.plans, newer.plan: newer}, versions=versions)


async def switch(world: World, customer: str, lookup_key: str) -> None:
    """The customer changes to the price in Stripe's portal, and its events arrive."""
    stripe_id = await stripe_id_of(world, customer)
    price = await world.gateway.price_of_key(lookup_key)
    assert price is not None
    portal = await world.gateway.create_portal(stripe_id, "http://127.0.0.1:9/app/billing")
    await asyncio.to_thread(
        _submit, f"{portal}/confirm/{await subscription_id_of(world, customer)}", {"price": price.id}
    )
    await world.catch_up()


MONTHLY, YEARLY = "tollhouse_premium_month_eur", "tollhouse_premium_year_eur"


@pytest.mark.row("U1")
@pytest.mark.parametrize("mode", ["replace", "add"])
async def test_from_the_month_to_the_year_and_back_nothing_is_granted_twice(
    schema_url: str, mode: Literal["replace", "add"]
) -> None:
    plans = {
        name: msgspec.structs.replace(
            plan, grants=tuple(msgspec.structs.replace(grant, mode=mode) for grant in plan.grants)
        )
        for name, plan in CATALOG.plans.items()
    }
    async with opened(schema_url, msgspec.structs.replace(CATALOG, plans=plans)) as world:
        ada = await world.customer()
        await world.buy(ada, "premium")
        await world.catch_up()
        await world.pass_days(35)
        await world.catch_up()

        async def grants() -> int:
            return len([e for e in await world.book(ada) if e.action in ("plan_upgraded", "plan_renewed")])

        assert await grants() == 2
        await switch(world, ada, YEARLY)
        assert await grants() == 3
        async with world.store.reading() as tx:
            found = await actions.subscription_of(tx, ada)
            newest = (await actions.invoices_of(tx, ada))[0]
        assert found is not None
        assert (found.every, found.price.amount_minor) == ("year", 3_000)
        assert newest.paid.amount_minor < 3_000

        await switch(world, ada, MONTHLY)
        async with world.store.reading() as tx:
            waiting = await actions.subscription_of(tx, ada)
        assert waiting is not None
        assert (waiting.every, waiting.later) == (
            "year", actions.LaterPrice("premium", "month", Money(400, "eur"), waiting.period_end),
        )  # fmt: skip
        for _ in range(12):
            await world.pass_days(31)
            await world.catch_up()
        assert await grants() == 3 + 12
        async with world.store.reading() as tx:
            changed = await actions.subscription_of(tx, ada)
        assert changed is not None
        assert (changed.every, changed.later) == ("month", None)


@pytest.mark.row("U1")
async def test_a_year_that_is_cut_short_brings_no_months_beside_the_new_price(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "premium", interval="year")
    await world.catch_up()
    await world.pass_days(40)
    await world.catch_up()
    monthly = await world.gateway.price_of_key(MONTHLY)
    assert monthly is not None
    subscription = await subscription_id_of(world, ada)
    item = (await world.stripe("get", f"/v1/subscriptions/{subscription}"))["items"]["data"][0]["id"]

    await world.stripe("post", f"/v1/subscriptions/{subscription}", items=[{"id": item, "price": monthly.id}])
    await world.catch_up()
    for _ in range(3):
        await world.pass_days(15)
        await world.catch_up()

    months = [entry for entry in await world.book(ada) if entry.action in ("plan_upgraded", "plan_renewed")]
    assert len(months) == 2 + 2
