"""S3: projects within the plan's count; the thing and its debit share a transaction."""

from __future__ import annotations

import asyncio

import pytest

from tests.customers.world import STARTER, World
from tollhouse.customers import projects
from tollhouse.customers.model import Project
from tollhouse.kernel.errors import InvalidRequest, NotAuthenticated, Refused
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.views import Upgrade


async def create(world: World, customer: str, name: str) -> Project:
    async with world.store.transaction() as tx:
        return await projects.create_project(tx, world.catalog, customer, name, world.now)


async def subscribe(world: World, customer: str) -> None:
    async with world.store.transaction() as tx:
        await ledger.set_subscription(
            tx, world.catalog, customer, STARTER, world.now, anchor=None, ends_at=None, standing="good"
        )


@pytest.mark.row("S3")
async def test_one_more_than_the_plan_allows_is_refused_with_the_plan_that_allows_it(world: World) -> None:
    customer = await world.create("ada@example.com", "42")

    with pytest.raises(Refused) as refusal:
        await create(world, customer, "Second")

    assert refusal.value.code == "count_exhausted"
    assert refusal.value.fields["meter"] == "projects"
    assert (refusal.value.fields["needed"], refusal.value.fields["remaining"]) == (1, 0)
    assert refusal.value.fields["upgrade"] == Upgrade("starter", "/pricing?plan=starter")
    assert await world.count("project") == await world.count("project_key") == 1


@pytest.mark.row("S3")
async def test_ten_at_once_stop_at_the_plans_three(world: World) -> None:
    customer = await world.create("ada@example.com", "42")
    await subscribe(world, customer)

    outcomes = await asyncio.gather(
        *(create(world, customer, f"Project {number}") for number in range(10)), return_exceptions=True
    )

    assert sum(isinstance(outcome, Project) for outcome in outcomes) == 2
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Refused)} == {"count_exhausted"}
    assert await world.count("project") == 3
    assert (await world.state(customer)).counts == {"projects": 3}


async def test_a_project_is_found_by_its_public_key(world: World) -> None:
    customer = await world.create("ada@example.com", "42")
    async with world.store.reading() as tx:
        (default,) = await projects.list_projects(tx, customer)
        owner = await projects.owner_of_key(tx, default.key)
        assert (owner.customer, owner.project) == (customer, default.id)
        for unknown in ("th_pk_unknown", "", "th_pk_\x00"):
            with pytest.raises(NotAuthenticated):
                await projects.owner_of_key(tx, unknown)


async def test_a_project_without_a_name_is_refused(world: World) -> None:
    customer = await world.create("ada@example.com", "42")
    await subscribe(world, customer)
    for name in ("", "   ", "x" * 201, "a\x00b"):
        with pytest.raises(InvalidRequest):
            await create(world, customer, name)
    assert (await world.state(customer)).counts == {"projects": 1}
