"""Copies of states: believed while they are right, loaded first while another process keeps changing them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

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


async def test_while_another_process_writes_the_same_customers_they_are_loaded_first(database_url: str) -> None:
    await asyncio.to_thread(schema.upgrade, database_url)
    here, elsewhere = await open_store(database_url), await open_store(database_url)
    async with here.transaction() as tx:
        catalog = await publish(tx, catalog_of(CATALOGUE), here.clock.now_ms())
        customer = new_id("cus")
        await open_account(tx, catalog, customer, here.clock.now_ms(), verified=True)
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
    port = counting[0]
    charge = ours.prices.charge("one")

    async def take(desk: Admission, key: str) -> None:
        assert (await desk.submit("admit", customer, charge, key, key.encode().ljust(16))).allowed

    for number in range(20):
        await take(ours, f"ours-{number}")
        await take(theirs, f"theirs-{number}")
    learned = port.stale
    assert 0 < learned < 8
    for number in range(20, 30):
        await take(ours, f"ours-{number}")
        await take(theirs, f"theirs-{number}")
    assert port.stale == learned  # nothing is saved in vain any more

    for number in range(30, 60):  # the other one has gone
        await take(ours, f"ours-{number}")
    alone = port.loads
    for number in range(60, 70):
        await take(ours, f"ours-{number}")
    assert port.loads == alone  # and copies are believed again
    for desk, store in ((ours, here), (theirs, elsewhere)):
        await desk.close()
        await store.close()
