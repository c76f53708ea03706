"""Paid by bank debit: nothing is given until the bank has paid, days later; nothing is left where it refuses."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from tests.billing.steps import spend, stripe_id_of
from tests.billing.world import CATALOG, World, _submit, opened
from tollhouse.billing import actions
from tollhouse.billing.model import Invoice, Snapshot, Subscription
from tollhouse.billing.owing import has_begun
from tollhouse.catalog.model import Pack, PackPrice
from tollhouse.kernel.errors import Conflict
from tollhouse.ledger.verify import verify_all

PACKS = {
    "small": Pack("small", "500 credits", "credits", 500_000, (PackPrice(700, "eur", "tollhouse_pack_small_once_eur"),))
}
SELLING = msgspec.structs.replace(CATALOG, packs=PACKS)
PAYS = "AT611904300234573201"
FAILS = "AT861904300235473202"


async def debit(world: World, customer: str, iban: str, *, pack: bool = False) -> None:
    """The customer buys Premium (or a pack) and lets the bank pay it."""
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, customer)
    if pack:
        page = await actions.start_pack_checkout(world.till, payer, "small")
    else:
        page = await actions.start_checkout(world.till, payer, "premium")
    typed = {"method": "sepa_debit", "iban": iban, "holder": "Ada"}
    assert "checkout=success" in await asyncio.to_thread(_submit, page, typed)


async def invoices(world: World, customer: str) -> list[str]:
    async with world.store.reading() as tx:
        return [invoice.status for invoice in await actions.invoices_of(tx, customer)]


async def free(world: World, customer: str) -> bool:
    state = await world.state(customer)
    return (state.plan, state.standing, state.past_due_at, await world.credits(customer)) == ("free", "good", None, 100)


async def test_the_plan_comes_when_the_bank_has_paid(world: World) -> None:
    ada = await world.customer()
    await debit(world, ada, PAYS)
    await world.catch_up()

    assert await free(world, ada)
    assert await invoices(world, ada) == ["processing"]
    assert await world.facts("payment.failed") == []
    assert await world.facts("operator.alert") == []
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, ada)
    with pytest.raises(Conflict, match="has a subscription already"):
        await actions.start_checkout(world.till, payer, "starter")

    await world.pass_days(5)
    await world.catch_up()

    state = await world.state(ada)
    assert (state.plan, state.standing, await world.credits(ada)) == ("premium", "good", 500)
    assert await invoices(world, ada) == ["paid"]
    assert (await verify_all(world.store, world.catalog)).findings == []


async def test_a_bank_that_refuses_leaves_everything_as_it_was(world: World) -> None:
    ada = await world.customer()
    await debit(world, ada, FAILS)
    await world.catch_up()
    before = await world.book(ada)

    for _ in range(3):
        await world.pass_days(2)
        await world.catch_up()

    assert await free(world, ada)
    assert await invoices(world, ada) == ["open"]
    assert len(await world.facts("payment.failed")) == 1
    assert await world.book(ada) == before

    await world.pass_days(60)  # tried again, refused again, then given up
    await world.catch_up()
    assert await free(world, ada)
    async with world.store.reading() as tx:
        assert await actions.subscription_of(tx, ada) is None
    assert [entry for entry in await world.book(ada) if entry.kind != "turn"] == before


async def test_who_pays_by_card_after_the_bank_refused_has_the_plan(world: World) -> None:
    ada = await world.customer()
    await debit(world, ada, FAILS)
    await world.pass_days(5)
    await world.catch_up()
    stripe_id = await stripe_id_of(world, ada)
    card = await world.stripe("post", "/v1/payment_methods/pm_card_visa/attach", customer=stripe_id)
    owed = await world.stripe("get", "/v1/invoices", customer=stripe_id, status="open")

    await world.stripe("post", f"/v1/invoices/{owed['data'][0]['id']}/pay", payment_method=card["id"])
    await world.catch_up()

    state = await world.state(ada)
    assert (state.plan, state.standing, await world.credits(ada)) == ("premium", "good", 500)


async def test_a_renewal_keeps_the_plan_while_its_debit_is_under_way(world: World) -> None:
    ada = await world.customer()
    await debit(world, ada, PAYS)
    await world.pass_days(5)
    await world.catch_up()

    await spend(world, ada, 450)

    await world.pass_days(27)
    await world.catch_up()
    state = await world.state(ada)
    assert (state.plan, state.standing, await world.credits(ada)) == ("premium", "good", 50)
    assert await invoices(world, ada) == ["processing", "paid"]

    await world.pass_days(5)
    await world.catch_up()
    assert await world.credits(ada) == 500


ABOUT = (
    "checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed",
    "invoice.payment_succeeded", "invoice.payment_failed",
)  # fmt: skip


@pytest.mark.parametrize(("iban", "plan"), [(PAYS, "premium"), (FAILS, "free")])
async def test_every_order_of_the_events_and_a_single_one_of_them_end_the_same(
    world: World, iban: str, plan: str
) -> None:
    for number, order in enumerate(itertools.permutations(range(3))):
        customer = await world.customer(f"ada-{number}@example.com")
        await debit(world, customer, iban)
        await world.pass_days(5)
        own = await stripe_id_of(world, customer)
        emitted = [event for event in await world.new_events() if event["data"]["object"].get("customer") == own]
        events = [event for event in emitted if event["type"] in ABOUT]
        assert len(events) == 3
        heard: list[dict[str, Any]] = [events[place] for place in order]
        await world.receive(heard[: 1 + number % 3])  # the others are lost
        await world.work()
        assert (await world.state(customer)).plan == plan
        assert (await world.state(customer)).standing == "good"


@pytest.mark.row("X11")
@pytest.mark.parametrize(("iban", "left"), [(PAYS, 600), (FAILS, 100)])
async def test_a_pack_is_granted_when_the_bank_has_paid(schema_url: str, iban: str, left: int) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        await debit(world, ada, iban, pack=True)
        await world.catch_up()
        assert await world.credits(ada) == 100
        async with world.store.reading() as tx:
            assert await actions.awaited_packs(tx, ada, world.store.clock.now_ms()) == ["small"]

        await world.pass_days(5)
        for _ in range(2):
            await world.catch_up()

        assert await world.credits(ada) == left
        async with world.store.reading() as tx:
            assert await actions.awaited_packs(tx, ada, world.store.clock.now_ms()) == []
        told = await world.facts("payment.failed")
        assert [(fact["amount_minor"], fact["currency"]) for fact in told] == ([(700, "eur")] if left == 100 else [])


def _seen(status: str, *invoices: tuple[str, str], sends: bool = False) -> Snapshot:
    subscription = Subscription("sub_1", status, 0, 0, (), "eur", sends_invoices=sends)
    own = tuple(
        Invoice(f"in_{n}", said, reason, "sub_1", n, "eur", 900, 0, 900, 0, 1, ())
        for n, (reason, said) in enumerate(invoices)
    )
    return Snapshot("cus_1", (subscription,), own)


@pytest.mark.parametrize(
    ("snapshot", "begun"),
    [
        (_seen("active", ("subscription_create", "processing")), False),
        (_seen("past_due", ("subscription_create", "open")), False),
        (_seen("unpaid", ("subscription_create", "uncollectible")), False),
        (_seen("active", ("subscription_create", "processing"), sends=True), True),
        (_seen("active", ("subscription_create", "paid")), True),
        (_seen("active", ("subscription_create", "paid"), ("subscription_cycle", "processing")), True),
        (_seen("past_due", ("subscription_create", "uncollectible"), ("subscription_cycle", "paid")), True),
        (_seen("active", ("subscription_create", "void")), True),
        (_seen("active"), True),
    ],
)
def test_when_a_plan_has_begun(snapshot: Snapshot, begun: bool) -> None:
    assert has_begun(snapshot, snapshot.subscriptions[0]) is begun
