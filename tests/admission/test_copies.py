"""Copies of states: believed while they are right, loaded first while another process keeps changing them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from tests.support.product import catalog_of
from tollhouse.admission import desk as desks
from tollhouse.admission.batch import Batch
from tollhouse.admission.desk import Admission
from tollhouse.admission.model import Ask, Loaded
from tollhouse.admission.ports import Port, open_port
from tollhouse.catalog.actions import publish
from tollhouse.kernel.ids import new_id
from tollhouse.ledger.actions import open_account
from tollhouse.store import open_store, schema
from tollhouse.store.opening import AnyStore

CATALOGUE = """
[product]
name = "Copies"
[meters]
credits = { kind = "credits" }
[actions.one]
cost = { credits = 1 }
[plans.free]
free = true
credits = { credits = 1000 }
"""


class Counting:
    """A port that counts its loads, and its saves that came too late."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.loads = 0
        self.stale = 0

    async def load(self, customers: Sequence[str], asks: Sequence[Ask], now: int, *, lock: bool = False) -> Loaded:
        self.loads += 1
        return await self._port.load(customers, asks, now, lock=lock)

    async def newer(self, copies: Mapping[str, int]) -> dict[str, tuple[int, str]]:
        self.loads += 1
        return await self._port.newer(copies)

    async def save(self, batch: Batch) -> set[str]:
        saved = await self._port.save(batch)
        self.stale += len(batch.customers - saved)
        return saved

    async def free(self, customers: Sequence[str]) -> set[str]:
        return await self._port.free(customers)

    async def close(self) -> None:
        await self._port.close()


class Pair:
    """Two processes that serve the same customers, and what the first one's port has done."""

    def __init__(self, ours: Admission, theirs: Admission, port: Counting, customers: list[str]) -> None:
        self.ours = ours
        self.theirs = theirs
        self.port = port
        self.customers = customers
        self._charge = ours.prices.charge("one")

    async def take(self, desk: Admission, key: str, customers: Sequence[str]) -> None:
        """One credit of each of these, in one batch."""
        asked = [desk.submit("admit", name, self._charge, key, key.encode().ljust(16)) for name in customers]
        assert all(outcome.allowed for outcome in await asyncio.gather(*asked))


@asynccontextmanager
async def two_processes(database_url: str, customers: int) -> AsyncIterator[Pair]:
    await asyncio.to_thread(schema.upgrade, database_url)
    here, elsewhere = await open_store(database_url), await open_store(database_url)
    names = [new_id("cus") for _ in range(customers)]
    async with here.transaction() as tx:
        catalog = await publish(tx, catalog_of(CATALOGUE), here.clock.now_ms())
        for name in names:
            await open_account(tx, catalog, name, here.clock.now_ms(), verified=True)
    counting: list[Counting] = []

    def counted(store: AnyStore) -> Port:
        counting.append(Counting(open_port(store)))
        return counting[-1]

    real = desks.__dict__["open_port"]
    desks.__dict__["open_port"] = counted
    try:
        ours, theirs = (Admission(store, catalog, lanes=1, cache_size=100) for store in (here, elsewhere))
    finally:
        desks.__dict__["open_port"] = real
    yield Pair(ours, theirs, counting[0], names)
    for desk, store in ((ours, here), (theirs, elsewhere)):
        await desk.close()
        await store.close()


async def test_while_another_process_writes_the_same_customers_they_are_loaded_first(database_url: str) -> None:
    async with two_processes(database_url, 1) as pair:
        port = pair.port
        for number in range(20):
            await pair.take(pair.ours, f"ours-{number}", pair.customers)
            await pair.take(pair.theirs, f"theirs-{number}", pair.customers)
        learned = port.stale
        assert 0 < learned < 8
        for number in range(20, 30):
            await pair.take(pair.ours, f"ours-{number}", pair.customers)
            await pair.take(pair.theirs, f"theirs-{number}", pair.customers)
        assert port.stale == learned  # nothing is saved in vain any more

        for number in range(30, 60):  # the other one has gone
            await pair.take(pair.ours, f"ours-{number}", pair.customers)
        alone = port.loads
        for number in range(60, 70):
            await pair.take(pair.ours, f"ours-{number}", pair.customers)
        assert port.loads == alone  # and copies are believed again


async def test_a_tenth_that_another_process_has_written_is_reason_enough(database_url: str) -> None:
    """Of a batch of 40 four would be saved in vain: each time a second save, where asking first is one SELECT."""
    async with two_processes(database_url, 40) as pair:
        for number in range(20):
            await pair.take(pair.ours, f"ours-{number}", pair.customers)
            await pair.take(pair.theirs, f"theirs-{number}", pair.customers[:4])
        assert 0 < pair.port.stale <= 16
