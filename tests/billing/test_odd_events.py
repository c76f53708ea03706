"""Events that cannot be applied as they are: kept, told, tried again, and applied once the cause is mended."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from tests.billing.steps import attach, sell_in_dashboard, stripe_id_of, subscription_id_of
from tests.billing.world import World
from tollhouse.billing import actions
from tollhouse.billing.applying import FenceLost, apply
from tollhouse.billing.linking import link_of_customer
from tollhouse.billing.unmapped import replay_unmapped, unmapped_purchases
from tollhouse.catalog.model import Catalog, Price
from tollhouse.kernel.clock import HOUR, SECOND
from tollhouse.store import Sql
from tollhouse.store.inbox import MOST_ATTEMPTS, pause_ms


async def parked(world: World) -> list[str]:
    """The errors of the events that wait for staff."""
    async with world.store.reading() as tx:
        return [str(event.error) for event in await actions.list_events(tx, "parked")]


async def about_customers(world: World) -> list[dict[str, Any]]:
    """The new events that name a customer."""
    return [event for event in await world.new_events() if event["data"]["object"].get("customer")]


async def sell_without_a_plan(world: World, customer: str) -> str:
    """A subscription to a product that our catalogue does not know; its id."""
    return await sell_in_dashboard(world, await stripe_id_of(world, customer), 1900, "usd")


async def linked_customer(world: World) -> str:
    """A customer with a Stripe customer and no subscription."""
    ada = await world.customer()
    payer = await world.payer(ada)
    await actions.start_checkout(world.till, payer, "starter")
    await world.catch_up()
    return ada


@pytest.mark.row("A21")
async def test_a_product_that_no_plan_maps_to_is_parked_alerted_and_applied_once_it_is_mapped(world: World) -> None:
    ada = await linked_customer(world)
    product = await sell_without_a_plan(world, ada)
    await world.catch_up()

    assert (await world.state(ada)).plan == "free"
    errors = await parked(world)
    assert errors
    assert all("no plan maps to price_" in error for error in errors)
    alerts = await world.facts("operator.alert")
    assert [(alert["title"], product in alert["fix"]) for alert in alerts] == [("A price in Stripe buys no plan", True)]
    async with world.store.reading() as tx:
        invoices = await actions.invoices_of(tx, ada)
    assert [(invoice.status, invoice.paid.amount_minor) for invoice in invoices] == [("paid", 1900)]

    starter = msgspec.structs.replace(world.catalog.plans["starter"], stripe_products=(product,))
    world.catalog = msgspec.structs.replace(world.catalog, plans={**world.catalog.plans, "starter": starter})
    async with world.store.transaction() as tx:
        event, *others = await actions.list_events(tx, "parked")
        assert others
        assert await actions.replay(tx, event.id, world.store.clock.now_ms())
    await world.work()

    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000
    assert await parked(world) == []


def mapped(world: World, price: dict[str, Any], by: str) -> Catalog:
    """The catalogue after staff have named the price in the plan starter."""
    own = {"price": "stripe_price", "lookup_key": "lookup_key"}
    starter = world.catalog.plans["starter"]
    if by == "product":
        starter = msgspec.structs.replace(starter, stripe_products=(price["product"],))
    else:
        told = price["id"] if by == "price" else price["lookup_key"]
        named = Price(1900, "usd", "month", **{"lookup_key": "none", own[by]: told})
        starter = msgspec.structs.replace(starter, prices=(*starter.prices, named))
    return msgspec.structs.replace(world.catalog, plans={**world.catalog.plans, "starter": starter})


@pytest.mark.row("A21")
@pytest.mark.parametrize("by", ["price", "lookup_key", "product"])
async def test_what_was_bought_without_a_plan_is_listed_and_comes_once_when_it_is_mapped(world: World, by: str) -> None:
    ada = await linked_customer(world)
    await sell_without_a_plan(world, ada)
    await world.catch_up()
    await world.pass_days(31)
    await world.catch_up()
    await world.receive(await about_customers(world))
    await world.work()
    assert len(await world.facts("operator.alert")) == 1, "told once, however many events there are"
    async with world.store.reading() as tx:
        (found,) = await unmapped_purchases(tx)
    assert (found.customer, found.amount.amount_minor, found.paid.amount_minor) == (ada, 1900, 3800)

    price = await world.stripe("get", f"/v1/prices/{found.price}")
    if by == "lookup_key":
        price = await world.stripe("post", f"/v1/prices/{found.price}", lookup_key="forgotten")
    world.catalog = mapped(world, price, by)
    for _ in range(3):
        async with world.store.transaction() as tx:
            assert await replay_unmapped(tx, ada, world.store.clock.now_ms())
        await world.work()

    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000
    async with world.store.reading() as tx:
        rows = await tx.fetch(Sql("select invoice from period_grant where customer = :customer"), customer=ada)
    assert len(rows) == len({row["invoice"] for row in rows}) == 2
    assert await parked(world) == []
    async with world.store.reading() as tx:
        assert await unmapped_purchases(tx) == []


async def test_a_customer_whom_stripe_does_not_know_has_nothing_to_replay(world: World) -> None:
    ada = await world.customer()
    async with world.store.transaction() as tx:
        assert not await replay_unmapped(tx, ada, world.store.clock.now_ms())


async def test_a_customer_of_stripes_that_is_not_ours_is_left_alone(world: World) -> None:
    stranger = await world.stripe("post", "/v1/customers", email="stranger@example.com")
    await world.catch_up()

    async with world.store.reading() as tx:
        done = [event for event in await actions.list_events(tx, "done") if event.subject == stranger["id"]]
    assert [event.error for event in done] == [f"{stranger['id']} is a customer of Stripe's that is not ours"]


async def test_a_stranger_who_pays_for_our_plan_is_parked_and_linked_by_metadata(world: World) -> None:
    ada = await world.customer()
    stranger = await world.stripe("post", "/v1/customers", email="stranger@example.com")
    card = await attach(world, stranger["id"])
    price = await world.gateway.price_of_key("tollhouse_starter_month_usd")
    assert price is not None
    await world.stripe(
        "post", "/v1/subscriptions", customer=stranger["id"], items=[{"price": price.id}],
        default_payment_method=card,
    )  # fmt: skip
    await world.catch_up()
    assert any("is linked to no customer" in error for error in await parked(world))

    await world.stripe("post", f"/v1/customers/{stranger['id']}", metadata={"tollhouse_customer": ada})
    await world.catch_up()

    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000


async def test_an_event_of_live_mode_is_parked_where_the_key_is_a_test_key(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()

    await world.receive([event | {"livemode": True} for event in events])
    await world.work()

    assert (await world.state(ada)).plan == "free"
    assert all("STRIPE_SECRET_KEY is a test key" in error for error in await parked(world))


async def test_while_stripe_is_down_events_wait_with_growing_pauses(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await about_customers(world)
    await world.receive(events)
    await world.control("faults", api_errors=[{"status": 500, "count": 3, "path": "/v1/subscriptions"}])

    await world.work()
    assert await world.events_by_status() == {"pending": len(events)}
    assert (await world.state(ada)).plan == "free"
    world.store.clock.test_offset_ms += pause_ms(1)
    await world.work()

    assert await world.events_by_status() == {"done": len(events)}
    assert await world.credits(ada) == 1_000


def test_pauses_double_up_to_an_hour() -> None:
    pauses = [pause_ms(attempts) for attempts in range(1, MOST_ATTEMPTS)]
    assert pauses[:3] == [5 * SECOND, 10 * SECOND, 20 * SECOND]
    assert max(pauses) == pauses[-1] == HOUR


async def test_what_never_works_is_parked_and_told_once(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await about_customers(world)
    await world.receive(events)
    await world.control("faults", api_errors=[{"status": 400, "count": 1000, "path": "/v1/subscriptions"}])

    for attempt in range(MOST_ATTEMPTS):
        assert await parked(world) == []
        await world.work()
        world.store.clock.test_offset_ms += pause_ms(attempt + 1)

    assert len(await parked(world)) == len(events)
    assert len(await world.facts("operator.alert")) == 1
    await world.control("faults", api_errors=[])
    async with world.store.transaction() as tx:
        assert await actions.replay(tx, events[0]["id"], world.store.clock.now_ms())
    await world.work()
    assert await world.credits(ada) == 1_000
    assert await parked(world) == [], "one look answers what else is parked about the customer"


async def test_a_list_that_lags_behind_the_event_is_not_believed(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()
    paid = next(event for event in events if event["type"] == "invoice.paid")
    unlisted = paid | {"data": {"object": paid["data"]["object"] | {"id": "in_not_listed_yet"}}}

    await world.receive([unlisted])
    await world.work()

    assert await world.events_by_status() == {"pending": 1}
    assert (await world.state(ada)).plan == "free"


async def test_the_fence_lets_only_the_first_of_two_looks_through(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    async with world.store.reading() as tx:
        link = await link_of_customer(tx, ada)
    assert link is not None
    look = await world.gateway.snapshot(link.id)
    now = world.store.clock.now_ms()

    async with world.store.transaction() as tx:
        assert (await apply(tx, world.catalog, link, look, now)).months_granted == 1
    with pytest.raises(FenceLost):
        async with world.store.transaction() as tx:
            await apply(tx, world.catalog, link, look, now)
    assert await world.credits(ada) == 1_000


async def test_a_worker_that_died_with_a_claim_is_followed_by_another(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.receive(await world.new_events())
    async with world.store.transaction() as tx:
        await tx.execute(
            Sql("update inbox set claim = 'clm_dead', claimed_until = :until"),
            until=world.store.clock.now_ms() + 60 * SECOND,
        )

    await world.work()
    assert set(await world.events_by_status()) == {"pending"}
    world.store.clock.test_offset_ms += 61 * SECOND
    await world.work()

    assert set(await world.events_by_status()) == {"done"}
    assert await world.credits(ada) == 1_000


async def test_a_customer_deleted_in_stripe_falls_back_to_free(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    assert await subscription_id_of(world, ada)

    await world.stripe("delete", f"/v1/customers/{await stripe_id_of(world, ada)}")
    await world.catch_up()

    assert (await world.state(ada)).plan == "free"
    async with world.store.reading() as tx:
        assert await actions.subscription_of(tx, ada) is None

    world.store.clock.test_offset_ms += HOUR
    await world.buy(ada, "pro")
    await world.catch_up()
    assert (await world.state(ada)).plan == "pro"


async def test_an_event_that_comes_after_the_deletion_does_not_link_the_customer_again(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    bought = await world.new_events()
    await world.receive(bought)
    await world.work()
    await world.stripe("delete", f"/v1/customers/{await stripe_id_of(world, ada)}")
    await world.catch_up()

    await world.receive([bought[-1] | {"id": "evt_late"}])
    await world.work()

    async with world.store.reading() as tx:
        assert await actions.link_of_customer(tx, ada) is None
    assert set(await world.events_by_status()) == {"done"}


@pytest.mark.parametrize("crash_at", range(1, 40, 3))
async def test_killed_between_any_two_statements_nothing_is_lost_or_doubled(world: World, crash_at: int) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()
    await world.receive(events)

    world.store.transaction = _dying(world.store.transaction, crash_at)  # type: ignore[method-assign]
    with suppress(Killed):
        await world.work()
    del world.store.transaction
    world.store.clock.test_offset_ms += HOUR
    await world.work()

    assert await world.events_by_status() == {"done": len(events)}
    assert await world.credits(ada) == 1_000
    assert [entry.action for entry in await world.book(ada)].count("plan_upgraded") == 1


class Killed(BaseException):
    """The process ends here."""


def _dying(transaction: Any, crash_at: int) -> Any:
    """Transactions of a process that is killed before its statement number `crash_at`."""
    left = [crash_at]

    class Dying:
        def __init__(self, tx: Any) -> None:
            self._tx = tx
            self.dialect = tx.dialect

        def __getattr__(self, name: str) -> Any:
            method = getattr(self._tx, name)

            async def run(*arguments: Any, **parameters: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return await method(*arguments, **parameters)

            return run

    @asynccontextmanager
    async def begin() -> Any:
        async with transaction() as tx:
            yield Dying(tx)

    return begin
