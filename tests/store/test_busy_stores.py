"""Stores under stress: a row that somebody else keeps, callers that go away, commits that fail."""

import asyncio
import sqlite3
import time
from typing import Any

import asyncpg
import pytest

from tests.support.postgres import Postgres
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import Sql, StoreFailure, open_store, schema
from tollhouse.store.postgres import PostgresStore
from tollhouse.store.sqlite import SqliteStore

LOCK = Sql("select offset_ms from test_clock where id = 1 [[for update]]")
WRITE = Sql("insert into test_clock (id, offset_ms) values (1, 1) on conflict (id) do update set offset_ms = 2")
READ = Sql("select offset_ms from test_clock")


async def test_reads_go_on_while_every_writer_waits_for_a_locked_row(postgres: Postgres) -> None:
    url = postgres.new_database()
    await asyncio.to_thread(schema.upgrade, url)
    store = await open_store(url)
    async with store.transaction() as tx:
        await tx.execute(WRITE)
    somebody = await asyncpg.connect(url)
    holding = somebody.transaction()
    await holding.start()
    await somebody.execute("select * from test_clock for update")

    async def wait_for_it() -> None:
        async with store.transaction() as tx:
            await tx.fetch(LOCK)

    waiting = [asyncio.create_task(wait_for_it()) for _ in range(45)]
    await asyncio.sleep(0.1)
    began = time.monotonic()
    async with store.reading() as tx:
        assert len(await tx.fetch(READ)) == 1
    assert time.monotonic() - began < 1
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    await holding.rollback()
    await somebody.close()
    async with store.transaction() as tx:
        assert await tx.execute(WRITE) == 1
    await store.close()
    postgres.drop_database(url)


async def test_a_database_that_is_gone_is_unavailable_not_an_accident(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    store = await open_store(url)
    assert isinstance(store, PostgresStore)

    class Unresolvable:
        """A pool whose host has no address any more."""

        def acquire(self, **_: object) -> object:
            raise OSError("Name or service not known")

    readers = store._readers
    monkeypatch.setattr(store, "_readers", Unresolvable())
    with pytest.raises(Unavailable):
        async with store.reading():
            pass
    monkeypatch.setattr(store, "_readers", readers)
    await store.close()
    postgres.drop_database(url)


async def test_a_commit_that_fails_after_its_caller_went_away_blocks_nobody(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    await asyncio.to_thread(schema.upgrade, url)
    store = await open_store(url)
    assert isinstance(store, SqliteStore)
    real = store._writer

    class Failing:
        """The writer's connection, whose first commit finds the disk full."""

        failed = False

        def execute(self, text: str, *rest: Any) -> object:
            if text == "commit" and not self.failed:
                self.failed = True
                raise sqlite3.OperationalError("disk I/O error")
            return real.execute(text, *rest)

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    store._writer = Failing()  # type: ignore[assignment]

    async def write() -> None:
        async with store.transaction() as tx:
            await tx.execute(WRITE)

    with pytest.raises(StoreFailure):
        await write()
    assert not real.in_transaction
    await write()
    async with store.reading() as tx:
        assert len(await tx.fetch(READ)) == 1
    store._writer = real
    await store.close()


async def test_a_caller_that_goes_away_in_a_transaction_leaves_nothing_open(database_url: str) -> None:
    await asyncio.to_thread(schema.upgrade, database_url)
    store = await open_store(database_url)
    inside = asyncio.Event()

    async def go_away() -> None:
        async with store.transaction() as tx:
            await tx.execute(WRITE)
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(go_away())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with store.transaction() as tx:
        assert await tx.fetch(READ) == []
        await tx.execute(WRITE)
    await store.close()
