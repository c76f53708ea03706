"""Two workers on one inbox, each in a process of its own."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tests.billing.processes import Worker
from tests.billing.test_killed_while_applying import is_as_stripe_says, purchase
from tests.billing.world import World
from tollhouse.billing.syncing import LEASE_MS
from tollhouse.ledger.verify import verify_all
from tollhouse.store import Sql

CUSTOMERS = 24
FENCE = "update stripe_customer set sync_seq"


@pytest.mark.timeout(300)
async def test_each_event_is_applied_once_by_one_of_two_processes(world: World, schema_url: str) -> None:
    customers = [await world.customer(f"c{number}@example.com") for number in range(CUSTOMERS)]
    for customer in customers:
        await world.buy(customer, "starter")
    events = await world.new_events()
    random.Random(11).shuffle(events)
    await world.receive(events)

    both = [Worker(world, schema_url) for _ in range(2)]
    steps = await asyncio.gather(*(worker.steps() for worker in both))
    await world.work()

    assert all("update stripe_customer set sync_seq" in names for names in steps), "only one of them worked"
    assert await world.events_by_status() == {"done": len(events)}
    for customer in customers:
        assert await world.credits(customer) == 1_000
        assert [entry.action for entry in await world.book(customer)].count("plan_upgraded") == 1
    assert (await verify_all(world.store, world.catalog)).findings == []


@pytest.mark.timeout(300)
async def test_a_process_that_stood_still_past_its_lease_loses_by_the_fence(world: World, schema_url: str) -> None:
    await purchase(world, "whole")
    steps = await Worker(world, schema_url).steps()
    before = steps[: steps.index(FENCE)]
    at = len(before) - before[::-1].index("begin a change")  # the number of the step at which the change begins
    customer = await purchase(world, "ada")
    slow = Worker(world, schema_url, at=at, signal_number=signal.SIGSTOP)
    await slow.stands_still()

    world.store.clock.test_offset_ms += LEASE_MS + 1
    await world.work()
    assert set(await world.events_by_status()) == {"done"}
    slow.go_on()
    assert FENCE in (await slow.steps())[at:], "it did not try to pass the fence"

    assert set(await world.events_by_status()) == {"done"}
    assert await world.credits(customer) == 1_000
    assert [entry.action for entry in await world.book(customer)].count("plan_upgraded") == 1
    async with world.store.reading() as tx:
        links = await tx.fetch(Sql("select sync_seq from stripe_customer where customer = :name"), name=customer)
    assert [row["sync_seq"] for row in links] == [1], "the fence let two through"
    await is_as_stripe_says(world, customer)
