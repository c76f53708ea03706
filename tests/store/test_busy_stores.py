"""Stores under stress: a row that somebody else keeps, callers that go away, commits that fail."""

import asyncio
import itertools
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.postgres import Postgres
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import Sql, StoreFailure, open_store, schema, sqlite
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


async def test_a_batch_waits_for_another_process_and_holds_up_nobody(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    await asyncio.to_thread(schema.upgrade, url)
    store = await open_store(url)
    assert isinstance(store, SqliteStore)
    another = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    another.execute("begin immediate")
    writing = asyncio.create_task(store.write(lambda connection: connection.execute(WRITE.for_sqlite)))
    longest = 0.0
    for _ in range(50):
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    assert not writing.done()
    assert longest < sqlite.BUSY_TIMEOUT_SECONDS / 2, "the event loop waited, too"
    another.execute("rollback")
    await writing
    async with store.reading() as tx:
        assert len(await tx.fetch(READ)) == 1
    another.close()
    await store.close()


async def test_a_slow_disk_is_waited_for_beside_the_loop(tmp_path: Path) -> None:
    store = SqliteStore(f"{tmp_path}/x.db")
    real = store._writer
    real.execute("pragma synchronous = off")  # only the slowness below counts
    real.execute("create table line (n integer)")
    where: list[str] = []

    class Slow:
        """The writer's connection, on a disk that takes its time."""

        seconds = 0.03

        def execute(self, text: str, *rest: Any) -> object:
            if text == "commit":
                where.append(threading.current_thread().name)
                time.sleep(self.seconds)
            return real.execute(text, *rest)

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    slow = Slow()
    store._writer = slow  # type: ignore[assignment]

    def insert(connection: sqlite3.Connection) -> None:
        connection.execute("insert into line values (1)")

    for _ in range(10):
        await store.write(insert)
    assert all(name.startswith("tollhouse-writer") for name in where[1:]), where
    slow.seconds = 0
    for _ in range(30):
        await store.write(insert)
    assert threading.main_thread().name in where[10:]
    assert real.execute("select count(*) from line").fetchone()[0] == 40
    await store.close()


async def test_the_log_is_copied_into_the_file_however_many_batches_come(tmp_path: Path) -> None:
    store = SqliteStore(f"{tmp_path}/x.db")
    await store.write(lambda connection: connection.execute("create table line (n integer primary key, text text)"))
    number = itertools.count()

    def fill(connection: sqlite3.Connection) -> None:
        connection.executemany("insert into line values (?, ?)", [(next(number), "x" * 3_500) for _ in range(150)])

    for _ in range(200):
        await store.write(fill)
    assert (tmp_path / "x.db").stat().st_size > 60_000_000
    assert (tmp_path / "x.db-wal").stat().st_size < 90_000_000, "the log of 120 MB was never copied"
    await store.close()


ENTER = Sql("insert into pair (id, halves) values (:id, 1)")
COMPLETE = Sql("update pair set halves = halves + 1 where id = :id")


@pytest.mark.parametrize("quick_seconds", [0.0, 0.005])
async def test_callers_that_go_away_at_any_moment_leave_all_or_nothing(
    quick_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "QUICK_SECONDS", quick_seconds)
    store = SqliteStore(f"{tmp_path}/x.db")
    await store.measure_clock()
    await store.write(
        lambda connection: connection.execute("create table pair (id integer primary key, halves integer)")
    )
    dice = random.Random(20261128)
    answered: list[int] = []

    async def step_by_step(number: int) -> None:
        async with store.transaction() as tx:
            await tx.execute(ENTER, id=number)
            await tx.execute(COMPLETE, id=number)
        answered.append(number)

    def both(connection: sqlite3.Connection, number: int) -> None:
        connection.execute(ENTER.for_sqlite, {"id": number})
        connection.execute(COMPLETE.for_sqlite, {"id": number})

    async def at_once(number: int) -> None:
        await store.write(lambda connection: both(connection, number))
        answered.append(number)

    async def go_away(task: "asyncio.Task[None]") -> None:
        for _ in range(dice.randrange(1, 4)):  # some are told more than once
            await asyncio.sleep(dice.random() * 0.02)
            task.cancel()

    for beginning in range(0, 600, 6):
        tasks = [asyncio.create_task(dice.choice((step_by_step, at_once))(beginning + place)) for place in range(6)]
        await asyncio.gather(*map(go_away, dice.sample(tasks, 4)))
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in ended), ended
    async with store.transaction() as tx:
        kept = {row["id"]: row["halves"] for row in await tx.fetch(Sql("select id, halves from pair"))}
    assert set(kept.values()) == {2}
    assert set(answered) <= set(kept)
    assert 100 < len(answered) < 600
    await store.close()
