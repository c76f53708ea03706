"""Credits that are left are carried over by paid renewals: month by month, of a yearly price, late and replayed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.billing.lives import Replay
from tests.billing.lives import a_whole_life as record
from tests.billing.steps import catalog_granting, spend
from tests.billing.world import World, opened
from tollhouse.catalog.model import Catalog, Grant
from tollhouse.ledger.verify import verify_all
from tollhouse.store import Sql


def catalog_with(starter: int | None, premium: int | None) -> Catalog:
    return catalog_granting(
        {
            "starter": Grant("credits", 1_000_000, rollover=starter),
            "premium": Grant("credits", 500_000, rollover=premium),
        }
    )


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url, catalog_with(300_000, None), quick=True) as world:
        yield world
        assert (await verify_all(world.store, world.catalog)).findings == []


async def test_each_paid_month_carries_over_up_to_the_ceiling(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    left = []
    for used in (900, 0, 1_250):
        await spend(world, ada, used) if used else None
        await world.pass_days(31)
        await world.catch_up()
        await world.receive(await world.new_events())
        await world.work()
        left.append(await world.credits(ada))

    assert left == [1_100, 1_300, 1_050]
    told = [json.loads(e.metadata or "{}") for e in await world.book(ada) if e.action == "credits_rolled_over"]
    assert [(entry["rolled_over"], entry["ended"]) for entry in told] == [(100, 0), (300, 800), (50, 0)]
    assert all(entry["invoice"].startswith("in_") for entry in told)


async def test_its_paid_value_is_kept(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    await spend(world, ada, 800)
    await world.pass_days(31)
    await world.catch_up()

    async with world.store.reading() as tx:
        rows = await tx.fetch(
            Sql("select paid_minor, currency, source, reason from lot where customer = :customer and until > 0 order by id"),
            customer=ada,
        )  # fmt: skip
    assert [tuple(row[name] for name in ("paid_minor", "currency", "source", "reason")) for row in rows] == [
        (900, "usd", "plan", "plan_upgraded"),
        (180, "usd", "plan", "rolled over"),
        (900, "usd", "plan", "plan_renewed"),
    ]


async def test_a_yearly_price_carries_over_month_by_month(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "premium", interval="year")
    await world.catch_up()
    for month in range(1, 14):
        await spend(world, ada, 400)
        await world.pass_days(31)
        await world.catch_up()
        assert await world.credits(ada) == 500 + month * 100


async def test_months_that_nobody_worked_in_are_carried_over_all_the_same(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "premium", interval="year")
    await world.catch_up()
    await spend(world, ada, 400)

    await world.pass_days(95)
    await world.catch_up()

    assert await world.credits(ada) == 100 + 3 * 500


async def test_a_life_heard_of_late_or_twice_carries_over_the_same(world: World) -> None:
    stages = await record(world)
    replay = Replay(world)
    step_by_step, first_id = await replay.new_life()
    for stage in stages:
        replay.at(stage)
        await replay.receive(first_id, [*stage.events, *reversed(stage.events)])
        await replay.again.work()
    at_once, second_id = await replay.new_life()
    replay.at(stages[-1])
    await replay.receive(second_id, [event for stage in stages for event in reversed(stage.events)])
    await replay.again.work()

    expected = await replay.again.end_state(step_by_step)
    assert [lot[0] for lot in expected["lots"]] == [300_000, 15_000_000]
    assert await replay.again.end_state(at_once) == expected
