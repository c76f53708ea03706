"""Stripe fails while an event is applied: the event waits, longer each time, and is applied once when Stripe is back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.billing.steps import move_to, spend, stripe_id_of, subscription_id_of
from tests.billing.world import World
from tollhouse.billing.lagging import perhaps_behind, require_visible
from tollhouse.billing.model import Snapshot, Stated, WebhookEvent
from tollhouse.billing.stripe import gateway as stripe_gateway
from tollhouse.kernel.clock import MINUTE, SECOND
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import Sql, inbox
from tollhouse.store.inbox import pause_ms

WAITING = Sql("select attempts, due_at, error, status from inbox order by id")
EVER = 10_000


def errors(**more: Any) -> dict[str, Any]:
    return {"api_errors": [{"count": EVER, "path": "/v1/", **more}]}


FAULTS: dict[str, dict[str, Any]] = {
    "it answers 500": errors(status=500),
    "it answers 429": errors(status=429),
    "it is slow": {"api_latency_ms": 700},
    "an answer breaks off": errors(when="cut"),
    "a list breaks off after its first page": errors(status=500, path="/v1/invoices", skip=1),
    "a page of a list breaks off": errors(when="cut", path="/v1/invoices", skip=1),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that are not repeated within a call, short waits, and pages of one."""
    monkeypatch.setattr(stripe_gateway, "RETRIES", 0)
    monkeypatch.setattr(stripe_gateway, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(stripe_gateway, "PAGE", 1)


async def bought(world: World) -> tuple[str, int]:
    """A customer who has bought and gone over to a higher plan, so that lists have two rows; how many events wait."""
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    await move_to(world, ada, "pro")
    customer = await stripe_id_of(world, ada)
    events = [event for event in await world.new_events() if event["data"]["object"].get("customer") == customer]
    async with world.store.transaction() as tx:
        await tx.execute(Sql("delete from inbox"))
    await world.receive(events)
    await world.gateway.close()  # so that the next connection is an impatient one
    return ada, len(events)


async def waiting(world: World) -> list[Any]:
    async with world.store.reading() as tx:
        return await tx.fetch(WAITING)


async def fail_twice_then_heal(world: World, heal: Callable[[], Awaitable[object]], *, at_least_ms: int = 0) -> None:
    """The events wait after each failure, a little longer, and nothing is tried meanwhile; then all is applied, once."""
    for attempt in (1, 2):
        now = world.store.clock.now_ms()
        await world.work()
        pause = max(pause_ms(attempt), at_least_ms)
        rows = await waiting(world)
        assert {row["status"] for row in rows} == {"pending"}
        assert {row["attempts"] for row in rows} == {attempt}
        assert all(now + pause <= row["due_at"] <= world.store.clock.now_ms() + pause for row in rows)
        assert all("Stripe" in row["error"] for row in rows)
        await world.work()
        assert {row["attempts"] for row in await waiting(world)} == {attempt}, "it was tried before its time"
        world.store.clock.test_offset_ms += pause + SECOND
    await heal()
    await world.work()


async def exactly_once(world: World, ada: str, number: int) -> None:
    assert await world.events_by_status() == {"done": number}
    assert (await world.state(ada)).plan == "pro"
    assert await world.credits(ada) == 15_000
    assert [entry.action for entry in await world.book(ada)].count("plan_upgraded") == 2
    assert await world.facts("operator.alert") == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_events_wait_and_are_applied_once(world: World, fault: str) -> None:
    ada, number = await bought(world)
    await world.control("faults", **FAULTS[fault])

    await fail_twice_then_heal(world, lambda: world.control("faults", api_errors=[], api_latency_ms=0))

    await exactly_once(world, ada, number)


async def test_a_stripe_that_cannot_be_reached_is_waited_for(world: World) -> None:
    ada, number = await bought(world)
    base, world.gateway._base = world.gateway._base, "http://127.0.0.1:1"

    async def back() -> None:
        await world.gateway.close()
        world.gateway._base = base

    await fail_twice_then_heal(world, back)

    await exactly_once(world, ada, number)


async def test_who_is_told_to_wait_longer_waits_longer(world: World) -> None:
    ada, number = await bought(world)
    await world.control("faults", **errors(status=429, retry_after=90))

    await fail_twice_then_heal(world, lambda: world.control("faults", api_errors=[]), at_least_ms=90 * SECOND)

    await exactly_once(world, ada, number)


async def test_too_many_failures_are_parked_told_once_and_replayed(world: World) -> None:
    ada, number = await bought(world)
    await world.control("faults", **errors(status=500))
    for attempt in range(inbox.MOST_ATTEMPTS):
        await world.work()
        world.store.clock.test_offset_ms += pause_ms(attempt + 1)
    assert await world.events_by_status() == {"parked": number}
    await world.work()
    (alert,) = await world.facts("operator.alert")
    assert (await stripe_id_of(world, ada)) in alert["detail"]

    await world.control("faults", api_errors=[])
    async with world.store.transaction() as tx:
        for row in await tx.fetch(Sql("select id from inbox")):
            assert await inbox.replay(tx, "stripe", row["id"], world.store.clock.now_ms())
    await world.work()

    assert await world.events_by_status() == {"done": number}
    assert await world.credits(ada) == 15_000


class Behind:
    """Stripe's answers as they were a moment ago, for so many looks."""

    def __init__(self, world: World, older: Snapshot, looks: int) -> None:
        self._now = world.gateway.snapshot
        self._older = older
        self.looks = looks

    async def __call__(self, stripe_id: str, *, packs: bool = True) -> Snapshot:
        self.looks -= 1
        return self._older if self.looks >= 0 else await self._now(stripe_id, packs=packs)


async def older(world: World, customer: str, looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this gateway lags behind what happens next."""
    snapshot = await world.gateway.snapshot(await stripe_id_of(world, customer))
    monkeypatch.setattr(world.gateway, "snapshot", Behind(world, snapshot, looks))


@pytest.fixture
async def subscriber(world: World) -> str:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    await spend(world, ada, 400)
    return ada


async def test_an_end_that_is_not_shown_yet_is_waited_for(
    world: World, subscriber: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await older(world, subscriber, 1, monkeypatch)
    await world.stripe("delete", f"/v1/subscriptions/{await subscription_id_of(world, subscriber)}")

    await world.catch_up()
    assert (await world.events_by_status()).get("pending")
    assert (await world.state(subscriber)).plan == "starter"
    world.store.clock.test_offset_ms += pause_ms(1)
    await world.work()

    assert set(await world.events_by_status()) == {"done"}
    assert (await world.state(subscriber)).plan == "free"


async def test_a_renewal_that_is_not_shown_yet_is_waited_for(
    world: World, subscriber: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await older(world, subscriber, 1, monkeypatch)
    await world.pass_days(32)
    await world.receive([e for e in await world.new_events() if e["type"] == "customer.subscription.updated"])

    await world.work()
    assert (await world.events_by_status()).get("pending")
    world.store.clock.test_offset_ms += pause_ms(1)
    await world.work()

    assert set(await world.events_by_status()) == {"done"}
    assert await world.credits(subscriber) == 1_000


async def test_a_change_that_is_not_shown_yet_is_seen_a_minute_later(
    world: World, subscriber: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await older(world, subscriber, 1, monkeypatch)
    subscription = await subscription_id_of(world, subscriber)
    await world.stripe("post", f"/v1/subscriptions/{subscription}", cancel_at_period_end=True)

    await world.catch_up()
    assert (await world.state(subscriber)).ends_at is None
    world.store.clock.test_offset_ms += MINUTE
    await world.work()

    assert (await world.state(subscriber)).ends_at is not None


async def test_what_was_changed_back_is_not_waited_for(world: World, subscriber: str) -> None:
    subscription = await subscription_id_of(world, subscriber)
    for canceling in (True, False):
        await world.stripe("post", f"/v1/subscriptions/{subscription}", cancel_at_period_end=canceling)
    canceled, resumed = await world.new_events()

    for event in (canceled, resumed):
        await world.receive([event])
        await world.work()
        assert set(await world.events_by_status()) == {"done"}
    world.store.clock.test_offset_ms += MINUTE
    await world.work()

    assert (await world.state(subscriber)).ends_at is None
    assert await world.credits(subscriber) == 600


async def test_only_what_moves_one_way_proves_a_look_too_old(world: World, subscriber: str) -> None:
    snapshot = await world.gateway.snapshot(await stripe_id_of(world, subscriber))
    (shown,) = snapshot.subscriptions
    (item,) = shown.items
    event = WebhookEvent("evt_1", "customer.subscription.updated", snapshot.customer, False, 1, shown.id, shown.id)
    told = Stated(shown.id, "active", False, item.period_start, (item.price.id,), False)

    require_visible(snapshot, [event], [told])
    require_visible(snapshot, [event], [replace(told, period_start=item.period_start + 1, prices=("price_other",))])
    for later in (replace(told, period_start=item.period_start + 1), replace(told, over=True)):
        with pytest.raises(Unavailable):
            require_visible(snapshot, [event], [later])
    assert not perhaps_behind(snapshot, [told, replace(told, was_prices=("price_other",), was_canceling=True)])
    assert perhaps_behind(snapshot, [replace(told, was_status="active", status="past_due")])
    assert perhaps_behind(snapshot, [replace(told, was_prices=told.prices, prices=("price_other",))])
    assert perhaps_behind(snapshot, [replace(told, was_canceling=False, canceling=True)])
