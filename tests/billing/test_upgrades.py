"""What moving up to a higher plan within a period brings: all of it, the difference, or nothing yet."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.billing.lives import Replay
from tests.billing.lives import a_whole_life as record
from tests.billing.steps import catalog_granting, move_to, spend
from tests.billing.world import World, opened
from tollhouse.catalog.model import Catalog, Grant, OnUpgrade


def catalog_with(on_upgrade: OnUpgrade) -> Catalog:
    return catalog_granting(
        {
            "starter": Grant("credits", 1_000_000, on_upgrade=on_upgrade),
            "pro": Grant("credits", 15_000_000, on_upgrade=on_upgrade),
        }
    )


@pytest.fixture
async def world(request: pytest.FixtureRequest, schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url, catalog_with(request.param), quick=True) as world:
        yield world


@pytest.mark.parametrize(
    ("world", "brings", "after_use"),
    [("replace", 15_000, 15_000), ("difference", 14_000, 14_600), ("none", 0, 600)],
    indirect=["world"],
)
async def test_an_upgrade_brings_what_the_plan_says(world: World, brings: int, after_use: int) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    await spend(world, ada, 400)

    await world.pass_days(9)
    await move_to(world, ada, "pro")
    await world.catch_up()

    assert (await world.state(ada)).plan == "pro"
    assert await world.credits(ada) == after_use
    told = [entry for entry in await world.book(ada) if entry.action == "plan_upgraded"][-1]
    assert json.loads(told.metadata or "{}")["credits_granted"] == brings

    await world.pass_days(22)
    await world.catch_up()
    assert await world.credits(ada) == 15_000


@pytest.mark.parametrize(
    ("world", "credits"), [("replace", 15_000), ("difference", 14_600), ("none", 600)], indirect=["world"]
)
async def test_a_hundred_changes_between_two_plans_bring_no_more(world: World, credits: int) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    await spend(world, ada, 400)

    for number in range(100):
        await move_to(world, ada, "starter" if number % 2 else "pro")
        if number % 7 == 0:
            await world.catch_up()
    await world.catch_up()

    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == credits
    await world.pass_days(31)
    await world.catch_up()
    assert await world.credits(ada) == 1_000


@pytest.mark.parametrize(
    ("world", "lots"),
    [("replace", [15_000_000]), ("difference", [1_000_000, 14_000_000]), ("none", [1_000_000])],
    indirect=["world"],
)
async def test_an_upgrade_heard_of_late_doubled_or_backwards_ends_the_same(world: World, lots: list[int]) -> None:
    stages = await record(world)
    replay = Replay(world)
    step_by_step, first_id = await replay.new_life()
    for stage in stages:
        replay.at(stage)
        await replay.receive(first_id, [*stage.events, *stage.events])
        await replay.again.work()
    at_once, second_id = await replay.new_life()
    replay.at(stages[-1])
    await replay.receive(second_id, [event for stage in reversed(stages) for event in reversed(stage.events)])
    await replay.again.work()

    expected = await replay.again.end_state(step_by_step)
    assert [lot[0] for lot in expected["lots"]] == lots
    assert await replay.again.end_state(at_once) == expected
