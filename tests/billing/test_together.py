"""Customers whose looks are ready at once are applied in one transaction, and none suffers for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.billing.steps import stripe_id_of
from tests.billing.world import World
from tollhouse.billing import syncing, together
from tollhouse.billing.applying import Applied, FenceLost, write
from tollhouse.billing.counting import LOOK_AGAIN_TYPE
from tollhouse.billing.kept import Kept
from tollhouse.billing.linking import link_of_customer
from tollhouse.billing.pausing import Paused, pause
from tollhouse.billing.together import Look, Together
from tollhouse.kernel.errors import InvariantBroken, Unavailable
from tollhouse.ledger.book import open_book
from tollhouse.store import Sql, inbox
from tollhouse.store.errors import StoreFailure
from tollhouse.store.inbox import Event

FREE = 100
NAMES = ("ada", "eve", "mia", "zoe")


async def buyers(world: World, *names: str) -> list[str]:
    """Customers who have bought, of which we have heard nothing."""
    customers = [await world.customer(f"{name}@example.com") for name in names]
    for customer in customers:
        await world.buy(customer, "starter")
    return customers


async def look_at(world: World, customer: str) -> Look:
    async with world.store.reading() as tx:
        link = await link_of_customer(tx, customer)
    assert link is not None
    return Look(link, await world.gateway.snapshot(link.id), [], [], [], "clm_test", False)


def count_changes(world: World) -> list[int]:
    """How many transactions are begun from now on."""
    begun = [0]
    transaction = world.store.transaction

    @asynccontextmanager
    async def counted() -> AsyncIterator[Any]:
        begun[0] += 1
        async with transaction() as tx:
            yield tx

    world.store.transaction = counted  # type: ignore[method-assign]
    return begun


async def test_looks_that_are_ready_at_once_are_one_change(world: World) -> None:
    looks = [await look_at(world, customer) for customer in await buyers(world, *NAMES)]
    begun = count_changes(world)

    way = Together(world.store, world.catalog)
    applied = await asyncio.gather(*(way.apply(look) for look in looks))

    assert [found.plan_after for found in applied] == ["starter"] * 4
    assert begun == [1]


async def test_who_lost_the_fence_does_not_hold_up_the_others(world: World) -> None:
    ada, eve = await buyers(world, "ada", "eve")
    looks = [await look_at(world, customer) for customer in (ada, eve)]
    await Together(world.store, world.catalog).apply(looks[0])
    way = Together(world.store, world.catalog)

    lost, applied = await asyncio.gather(*(way.apply(look) for look in looks), return_exceptions=True)

    assert isinstance(lost, FenceLost)
    assert isinstance(applied, Applied)
    assert [await world.credits(customer) for customer in (ada, eve)] == [1_000] * 2


async def test_two_looks_at_one_customer_are_never_one_change(world: World) -> None:
    [ada] = await buyers(world, "ada")
    look = await look_at(world, ada)
    way = Together(world.store, world.catalog)

    first, second = await asyncio.gather(way.apply(look), way.apply(look), return_exceptions=True)

    assert isinstance(first, Applied)
    assert isinstance(second, FenceLost)
    assert await world.credits(ada) == 1_000


async def test_who_cannot_be_applied_does_not_hold_up_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    customers = await buyers(world, *NAMES)
    events = await world.new_events()
    bad = await stripe_id_of(world, customers[1])

    async def written(tx: Any, catalog: Any, kept: Kept, *rest: Any) -> Applied:
        if kept.link.id == bad:
            raise InvariantBroken("it will not do")
        return await write(tx, catalog, kept, *rest)

    monkeypatch.setattr(together, "write", written)
    await world.receive(events)
    await world.syncer.work_once()

    assert [await world.credits(customer) for customer in customers] == [1_000, FREE, 1_000, 1_000]
    async with world.store.reading() as tx:
        rows = await tx.fetch(
            Sql("select subject, attempts, error from inbox where status = 'pending' and attempts > 0")
        )
    assert {(row["subject"], row["attempts"], row["error"]) for row in rows} == {(bad, 1, "it will not do")}
    monkeypatch.undo()
    world.store.clock.test_offset_ms += 60_000
    await world.work()
    assert await world.credits(customers[1]) == 1_000


async def test_while_stripe_is_paused_nobody_is_applied(world: World) -> None:
    customers = await buyers(world, "ada", "eve")
    looks = [await look_at(world, customer) for customer in customers]
    await pause(world.store, by_whom="test", reason="test")
    way = Together(world.store, world.catalog)

    outcomes = await asyncio.gather(*(way.apply(look) for look in looks), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Paused, Paused]
    assert [await world.credits(customer) for customer in customers] == [FREE, FREE]


async def test_nobody_waits_for_ever_when_the_worker_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [await look_at(world, customer) for customer in await buyers(world, "ada", "eve")]
    monkeypatch.setattr(together, "MOST_TOGETHER", 1)
    way = Together(world.store, world.catalog)
    waiting = [asyncio.create_task(way.apply(look)) for look in looks]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # now it has begun
    assert way._writing is not None
    way._writing.cancel()

    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


async def test_nobody_waits_for_ever_when_it_is_ended_while_a_group_is_taken_apart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [await look_at(world, customer) for customer in await buyers(world, "ada", "eve", "mia")]
    alone = asyncio.Event()

    async def stuck(store: Any, catalog: Any, group: Sequence[Look]) -> Any:
        if len(group) > 1:
            raise InvariantBroken("not together")
        alone.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(together, "apply_all", stuck)
    way = Together(world.store, world.catalog)
    waiting = [asyncio.create_task(way.apply(look)) for look in looks]
    await alone.wait()
    assert way._writing is not None
    way._writing.cancel()

    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3


async def test_a_locked_account_holds_up_nobody_else(world: World) -> None:
    if world.store.dialect == "sqlite":
        return  # it has one writer, who holds up everybody
    customers = await buyers(world, *NAMES)
    looks = [await look_at(world, customer) for customer in customers]
    way = Together(world.store, world.catalog)
    finished: list[str] = []

    async def applied(look: Look) -> None:
        await way.apply(look)
        finished.append(look.link.customer)

    async with world.store.transaction() as tx:
        await open_book(tx, world.catalog, customers[1], world.store.clock.now_ms())
        waiting = [asyncio.create_task(applied(look)) for look in looks]
        others = [task for number, task in enumerate(waiting) if number != 1]
        await asyncio.wait_for(asyncio.gather(*others), 10)
        assert sorted(finished) == sorted({*customers} - {customers[1]})
        assert not waiting[1].done()
    await waiting[1]
    assert [await world.credits(customer) for customer in customers] == [1_000] * 4


async def test_a_database_that_fails_after_a_claim_leaves_nothing_claimed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [ada] = await buyers(world, "ada")
    await world.receive(await world.new_events())

    async def failing(*_: Any) -> Any:
        raise StoreFailure("the database could not do this now")

    monkeypatch.setattr(syncing, "find_known", failing)
    assert await world.syncer.work_once()
    monkeypatch.undo()

    async with world.store.reading() as tx:
        rows = await tx.fetch(Sql("select attempts, claimed_until from inbox where attempts > 0"))
    assert {(row["attempts"], row["claimed_until"]) for row in rows} == {(1, None)}
    world.store.clock.test_offset_ms += 60_000
    await world.work()
    assert await world.credits(ada) == 1_000


async def test_who_fails_with_many_events_is_asked_for_no_more_often(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def handle(self: syncing.Syncer, events: list[Event], claim_id: str, known: Any) -> None:
        asked.append(events[0].subject)
        if events[0].subject == "cus_bad":
            raise Unavailable("Stripe does not answer")
        await self._done(events, claim_id, "fine")

    async def put(subject: str, number: int, received_at: int) -> None:
        rows = [(f"{subject}:{received_at}:{n}", LOOK_AGAIN_TYPE, subject, "{}") for n in range(number)]
        async with world.store.transaction() as tx:
            await inbox.receive_all(tx, "stripe", rows, received_at)

    monkeypatch.setattr(syncing.Syncer, "_handle", handle)
    now = world.store.clock.now_ms()
    await put("cus_bad", 70, now - 1)
    for turn in range(10):
        for number in range(7):
            await put(f"cus_{number}", 1, now - 100 + turn)
        await world.syncer.work_once()

    assert asked.count("cus_bad") == 2, "62 events at once, the other eight, and then their pause"
