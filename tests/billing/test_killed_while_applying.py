"""kill -9 of a working process before every step of applying a purchase's events, from the claim to after the commit: whoever
works next makes the books say what Stripe says, every lot once."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.billing.processes import Worker
from tests.billing.steps import move_to, stripe_id_of
from tests.billing.world import World
from tollhouse.billing.reconciling import Reconciler, begin
from tollhouse.billing.syncing import LEASE_MS
from tollhouse.ledger.verify import verify_all


async def purchase(world: World, name: str) -> str:
    """A customer whose purchase has been told, and not applied yet."""
    customer = await world.customer(f"{name}@example.com")
    await world.buy(customer, "starter")
    await world.receive(await world.new_events())
    return customer


async def upgrade(world: World, name: str) -> str:
    """A customer whose change to a higher plan has been told, and not applied yet."""
    customer = await purchase(world, name)
    await world.work()
    await move_to(world, customer, "pro")
    await world.receive(await world.new_events())
    return customer


async def is_as_stripe_says(world: World, customer: str) -> None:
    """A comparison with Stripe finds nothing to repair."""
    async with world.store.transaction() as tx:
        run = await begin(
            tx, by_whom="test", why="killed", dry_run=True, now=world.store.clock.now_ms(),
            only=await stripe_id_of(world, customer),
        )  # fmt: skip
    _, (compared,) = await Reconciler(world.store, world.catalog, world.gateway).step(run)
    assert (compared.error, compared.differences) == (None, ())


async def work_until_done(world: World) -> None:
    """Whoever works next; it comes again, as a database holds the rows of a dead client until it has noticed."""
    for _ in range(100):
        await world.work()
        if set(await world.events_by_status()) == {"done"}:
            return
        await asyncio.sleep(0.1)


async def survive_every_step(world: World, url: str, *, upgraded: bool) -> None:
    tell, plan, credits = (upgrade, "pro", 15_000) if upgraded else (purchase, "starter", 1_000)
    await tell(world, "whole")
    steps = await Worker(world, url).steps()
    assert len(steps) > 20, steps
    for at in range(1, len(steps) + 1):
        customer = await tell(world, f"killed-{at}")
        worker = Worker(world, url, at=at, signal_number=signal.SIGKILL)
        assert await worker.ended() == -signal.SIGKILL, f"it was not killed before step {at}, {steps[at - 1]}"

        world.store.clock.test_offset_ms += LEASE_MS + 1
        await work_until_done(world)

        assert set(await world.events_by_status()) == {"done"}, steps[at - 1]
        assert (await world.state(customer)).plan == plan
        assert await world.credits(customer) == credits, steps[at - 1]
        bought = [entry.action for entry in await world.book(customer)]
        assert bought.count("plan_upgraded") == (2 if upgraded else 1), steps[at - 1]
        await is_as_stripe_says(world, customer)
    report = await verify_all(world.store, world.catalog)
    assert report.findings == []


@pytest.mark.timeout(300)
async def test_killed_before_any_step_of_a_purchase_nothing_is_lost_or_doubled(world: World, schema_url: str) -> None:
    await survive_every_step(world, schema_url, upgraded=False)


@pytest.mark.timeout(300)
async def test_killed_before_any_step_of_an_upgrade_nothing_is_lost_or_doubled(world: World, schema_url: str) -> None:
    await survive_every_step(world, schema_url, upgraded=True)
