"""Whatever order events come in, however often, by however many workers: one end state (promise 5)."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest

from tests.billing.lives import Replay, a_whole_life
from tests.billing.world import World

TYPES_OF_A_PURCHASE = (
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "invoice.paid",
    "invoice.payment_succeeded",
)


async def test_every_permutation_of_a_purchase_ends_the_same(quick_world: World) -> None:
    stage = (await a_whole_life(quick_world))[0]
    events = [event for event in stage.events if event["type"] in TYPES_OF_A_PURCHASE]
    assert sorted(event["type"] for event in events) == sorted(TYPES_OF_A_PURCHASE)
    replay = Replay(quick_world)
    ends = []
    for order in itertools.permutations(events):
        customer, stripe_id = await replay.new_life()
        replay.at(stage)
        for event in order:
            await replay.receive(stripe_id, [event])
            await replay.again.work()
        ends.append(await replay.again.end_state(customer))

    assert len(ends) == 120
    assert ends[0]["plan"][0] == "starter"
    assert [lot[0] for lot in ends[0]["lots"]] == [1_000_000]
    assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize("seed", range(8))
async def test_late_doubled_and_shuffled_events_of_a_whole_life_end_the_same(quick_world: World, seed: int) -> None:
    stages = await a_whole_life(quick_world)
    replay = Replay(quick_world)
    in_order, first_id = await replay.new_life()
    for stage in stages:
        replay.at(stage)
        await replay.receive(first_id, list(stage.events))
        await replay.again.work()
    expected = await replay.again.end_state(in_order)
    assert [invoice[1] for invoice in expected["invoices"]] == ["paid"] * 3

    chance = random.Random(seed)
    for _ in range(4):
        customer, stripe_id = await replay.new_life()
        late: list[dict[str, Any]] = []
        for stage in stages:
            replay.at(stage)
            waiting = [*late, *stage.events]
            chance.shuffle(waiting)
            cut = chance.randint(0, len(waiting)) if stage is not stages[-1] else len(waiting)
            now, late = waiting[:cut], waiting[cut:]
            for event in [*now, *chance.sample(now, len(now) // 2)]:
                await replay.receive(stripe_id, [event])
                if chance.random() < 0.5:
                    await replay.again.work()
        await replay.again.work()
        assert await replay.again.end_state(customer) == expected


async def test_a_life_that_is_heard_of_when_it_is_over_ends_the_same(quick_world: World) -> None:
    stages = await a_whole_life(quick_world)
    replay = Replay(quick_world)
    step_by_step, first_id = await replay.new_life()
    for stage in stages:
        replay.at(stage)
        await replay.receive(first_id, list(stage.events))
        await replay.again.work()
    expected = await replay.again.end_state(step_by_step)
    assert expected["plan"][0] == "free"
    assert [(lot[0], lot[5] == lot[4]) for lot in expected["lots"]] == [
        (15_000_000, True)
    ]  # it ends when it was paid to

    at_once, second_id = await replay.new_life()
    replay.at(stages[-1])
    await replay.receive(second_id, [event for stage in stages for event in reversed(stage.events)])
    await replay.again.work()

    assert await replay.again.end_state(at_once) == expected


async def test_events_heard_twice_are_kept_once(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()

    await world.receive([*events, *events, *reversed(events)])
    await world.work()
    await world.receive(events)
    await world.work()

    assert await world.events_by_status() == {"done": len(events)}
    assert await world.credits(ada) == 1_000
    assert [e.action for e in await world.book(ada)].count("plan_upgraded") == 1


async def test_two_workers_on_one_inbox_apply_once(world: World) -> None:
    customers = [await world.customer(f"{name}@example.com") for name in ("ada", "eve", "mia", "zoe")]
    for customer in customers:
        await world.buy(customer, "starter")
    events = await world.new_events()
    random.Random(4).shuffle(events)

    async def worker() -> None:
        while await world.syncer.work_once():
            pass

    for event in events:
        await world.receive([event])
        await asyncio.gather(worker(), worker())
    await world.work()

    assert await world.events_by_status() == {"done": len(events)}
    for customer in customers:
        assert await world.credits(customer) == 1_000
        assert [e.action for e in await world.book(customer)].count("plan_upgraded") == 1
