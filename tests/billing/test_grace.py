"""A renewal's payment fails: the customer goes on as before until the time of grace is over, and time alone ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.billing.lives import Replay
from tests.billing.lives import a_whole_life as record
from tests.billing.steps import pay_open_invoice, spend
from tests.billing.world import CATALOG, FAILS_LATER, World, opened
from tollhouse.catalog.model import Terms
from tollhouse.customers.book import view_customer
from tollhouse.kernel.clock import DAY, rfc3339
from tollhouse.kernel.errors import Refused
from tollhouse.ledger.actions import block
from tollhouse.ledger.verify import verify_all


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url, replace(CATALOG, terms=Terms(grace_ms=3 * DAY))) as world:
        yield world
        assert (await verify_all(world.store, world.catalog)).findings == []


async def failing(world: World) -> str:
    """A customer whose first renewal has failed within the last day."""
    ada = await world.customer()
    await world.buy(ada, "starter", FAILS_LATER)
    await world.catch_up()
    await world.pass_days(31)
    await world.catch_up()
    return ada


async def test_time_alone_ends_the_grace(world: World) -> None:
    ada = await failing(world)
    state = await world.state(ada)
    assert (state.plan, state.standing) == ("starter", "good")
    assert state.past_due_at is not None
    assert 0 < state.past_due_at - world.store.clock.now_ms() < 3 * DAY
    async with world.store.reading() as tx:
        told = await view_customer(tx, world.catalog, ada, world.store.clock.now_ms())
    assert (told.standing, told.past_due_at) == ("good", rfc3339(state.past_due_at))
    await spend(world, ada, 10)

    await world.pass_days(3)

    assert (await world.state(ada)).standing == "past_due"
    with pytest.raises(Refused):
        await spend(world, ada, 10)
    await world.catch_up()
    assert (await world.state(ada)).standing == "past_due"
    written = [(e.action, e.at == state.past_due_at) for e in await world.book(ada) if e.kind == "standing"]
    assert written == [("grace_started", False), ("standing_past_due", True)]
    assert len(await world.facts("payment.failed")) >= 1


async def test_a_payment_within_the_grace_restores_at_once(world: World) -> None:
    ada = await failing(world)

    await pay_open_invoice(world, ada)
    await world.catch_up()

    state = await world.state(ada)
    assert (state.standing, state.past_due_at) == ("good", None)
    assert await world.credits(ada) == 1_000
    await world.pass_days(5)
    assert (await world.state(ada)).standing == "good"
    assert [e.action for e in await world.book(ada) if e.kind == "standing"] == ["grace_started", "grace_ended"]


async def test_a_payment_after_the_grace_restores_at_once(world: World) -> None:
    ada = await failing(world)
    await world.pass_days(4)
    await world.catch_up()

    await pay_open_invoice(world, ada)
    await world.catch_up()

    assert (await world.state(ada)).standing == "good"


async def test_a_failure_that_is_heard_of_late_has_no_grace_left(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter", FAILS_LATER)
    await world.catch_up()
    await world.pass_days(34)

    await world.catch_up()

    assert (await world.state(ada)).standing == "past_due"
    before = await world.book(ada)
    await world.work()
    assert await world.book(ada) == before


async def test_staff_who_unblock_give_back_the_rest_of_the_grace(world: World) -> None:
    ada = await failing(world)
    for standing in ("blocked", "past_due"):  # what unblocking sets for a customer who owes
        async with world.store.transaction() as tx:
            await block(tx, world.catalog, ada, standing, world.store.clock.now_ms(), "looked into it")
    assert (await world.state(ada)).standing == "good"

    await world.pass_days(3)

    assert (await world.state(ada)).standing == "past_due"


async def test_who_is_blocked_stays_so_when_the_grace_is_over(world: World) -> None:
    ada = await failing(world)
    async with world.store.transaction() as tx:
        await block(tx, world.catalog, ada, "blocked", world.store.clock.now_ms(), "abuse")

    await world.pass_days(3)
    await world.catch_up()

    state = await world.state(ada)
    assert (state.standing, state.past_due_at) == ("blocked", None)


async def test_a_life_with_grace_ends_the_same_whenever_it_is_heard_of(world: World) -> None:
    stages = await record(world)
    replay = Replay(world)
    ends = []
    for heard in ((0, 1, 2, 3, 4), (1, 2, 4), (0, 4), (4,)):
        customer, stripe_id = await replay.new_life()
        for number in heard:
            replay.at(stages[number])
            await replay.receive(stripe_id, [event for stage in stages[: number + 1] for event in stage.events])
            await replay.again.work()
        ends.append(await replay.again.end_state(customer))
    assert all(end == ends[0] for end in ends)
