"""Customers that nobody asks about: the sweeper turns their periods at the boundary (rule 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.customers.world import World, opened
from tollhouse.catalog.model import Meter
from tollhouse.kernel.clock import DAY
from tollhouse.ledger.actions import read_book
from tollhouse.store import Sql
from tollhouse.worker.sweeping import sweep_accounts


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        world.catalog.meters["sessions"] = Meter("sessions", "quota", period="month")
        yield world
        del world.catalog.meters["sessions"]


async def test_an_idle_customers_periods_are_turned_one_by_one(world: World) -> None:
    ada = await world.create("ada@example.com")
    world.store.clock.test_offset_ms += 95 * DAY

    await sweep_accounts(world.store, world.catalog)
    await sweep_accounts(world.store, world.catalog)

    async with world.store.reading() as tx:
        entries = await read_book(tx, ada, None, 100)
        due = await tx.fetch_one(
            Sql("select count(*) as n from account where next_due <= :now"), now=world.store.clock.now_ms()
        )
    assert [entry.action for entry in entries].count("period_turned") == 3
    assert due is not None
    assert due["n"] == 0


async def test_one_account_that_cannot_be_brought_on_does_not_stop_the_others(world: World) -> None:
    ada, eve = await world.create("ada@example.com"), await world.create("eve@example.com")
    world.store.clock.test_offset_ms += 40 * DAY
    state = await world.state(ada)
    ahead = msgspec.structs.replace(state, decided_at=world.store.clock.now_ms() + DAY)
    async with world.store.transaction() as tx:
        await tx.execute(
            Sql("update account set state = :state where customer = :customer"),
            state=msgspec.json.encode(ahead).decode(), customer=ada,
        )  # fmt: skip

    await sweep_accounts(world.store, world.catalog)

    async with world.store.reading() as tx:
        turned = {
            customer: [entry.action for entry in await read_book(tx, customer, None, 100)].count("period_turned")
            for customer in (ada, eve)
        }
    assert turned == {ada: 0, eve: 1}
