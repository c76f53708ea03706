"""SQLite: WAL, `synchronous=FULL`, one writer thread, readers beside it. Other processes may write at the same time."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from tollhouse.store.clock import DatabaseClock
from tollhouse.store.engine import Dialect, Row, Value
from tollhouse.store.errors import Duplicate, LockedByAnother, StoreFailure
from tollhouse.store.sql import Sql

BUSY_TIMEOUT_SECONDS = 10.0
READERS = 2
LOG_PAGES = 8_000
"""32 MB of log before it is copied into the file: pages that were written again and again meanwhile are copied once."""
CACHE_KIB = 16_384  # of pages, for each connection: the two hot indexes stay in memory

T = TypeVar("T")


def connect(path: str) -> sqlite3.Connection:
    """A connection with the settings that our promises need; transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute(f"pragma cache_size = -{CACHE_KIB}")
    connection.execute(f"pragma wal_autocheckpoint = {LOG_PAGES}")
    connection.execute("pragma foreign_keys = on")
    return connection


def begin(connection: sqlite3.Connection) -> None:
    """Take the one writer's place. Whatever a caller that went away has left open is ended first."""
    rollback_if_open(connection)
    connection.execute("begin immediate")


def commit(connection: sqlite3.Connection) -> None:
    """Commit, or leave nothing open: in one step of the thread, so that nobody can go away between the two."""
    try:
        connection.execute("commit")
    except BaseException:
        rollback_if_open(connection)
        raise


def rollback_if_open(connection: sqlite3.Connection) -> None:
    """End the transaction without effect; some failures have ended it already."""
    if connection.in_transaction:
        connection.execute("rollback")


def translate(error: sqlite3.Error) -> Exception:
    """The store's own error for a driver's."""
    if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error):
        return Duplicate(f"a row with this key exists already ({error})", constraint=str(error).partition(": ")[2])
    if isinstance(error, sqlite3.OperationalError):
        if "locked" in str(error) or "busy" in str(error):
            return LockedByAnother("the database is being written by another process", fix="try again in a moment")
        return StoreFailure(
            f"SQLite could not do this: {error}", fix="check the disk's free space and the file's rights"
        )
    return error


class SqliteTx:
    """Statements on one connection, each run in the thread that owns it."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
        except sqlite3.Error as error:
            raise translate(error) from error

    async def fetch(self, sql: Sql, **parameters: Value) -> list[Row]:
        return await self._run(lambda: self._connection.execute(sql.for_sqlite, parameters).fetchall())

    async def fetch_one(self, sql: Sql, **parameters: Value) -> Row | None:
        rows = await self.fetch(sql, **parameters)
        return rows[0] if rows else None

    async def execute(self, sql: Sql, **parameters: Value) -> int:
        return await self._run(lambda: self._connection.execute(sql.for_sqlite, parameters).rowcount)

    async def execute_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> None:
        await self._run(lambda: self._connection.executemany(sql.for_sqlite, rows))

    async def fetch_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> list[Row]:
        return await self._run(
            lambda: [found for row in rows for found in self._connection.execute(sql.for_sqlite, row)]
        )

    async def plain(self, text: str) -> None:
        await self._run(lambda: self._connection.execute(text))


class SqliteStore:
    """One SQLite file. Writes of this process queue for its one writer thread; grouped work commits once."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self.clock = DatabaseClock()
        self._writer_thread = ThreadPoolExecutor(1, "tollhouse-writer")
        self._writer = connect(path)
        self._turn = asyncio.Lock()
        self._readers: asyncio.Queue[tuple[sqlite3.Connection, ThreadPoolExecutor]] = asyncio.Queue()
        for number in range(READERS):
            self._readers.put_nowait((connect(path), ThreadPoolExecutor(1, f"tollhouse-reader-{number}")))

    async def measure_clock(self) -> None:
        """On SQLite the database's clock is this machine's own."""
        before = self.clock.monotonic_ms()
        self.clock.measured(time.time_ns() // 1_000_000, before, self.clock.monotonic_ms())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteTx]:
        self.clock.require_trusted()
        async with self._turn:
            tx = SqliteTx(self._writer, self._writer_thread)
            await self._begin(tx)
            try:
                yield tx
            except BaseException:
                await asyncio.shield(tx._run(lambda: rollback_if_open(self._writer)))
                raise
            await self._commit(tx)

    async def _begin(self, tx: SqliteTx) -> None:
        try:
            await tx._run(lambda: begin(self._writer))
        except asyncio.CancelledError:
            # The thread may still begin: undo it behind our back, in the same thread's order.
            self._writer_thread.submit(rollback_if_open, self._writer)
            raise

    async def _commit(self, tx: SqliteTx) -> None:
        await asyncio.shield(tx._run(lambda: commit(self._writer)))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction inside the writer thread: for batches that need no await between statements."""

        def whole() -> T:
            begin(self._writer)
            try:
                result = work(self._writer)
            except BaseException:
                rollback_if_open(self._writer)
                raise
            commit(self._writer)
            return result

        async with self._turn:
            try:
                return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._writer_thread, whole))
            except sqlite3.Error as error:
                raise translate(error) from error

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one reading transaction inside a reader's thread."""
        connection, thread = reader = await self._readers.get()

        def whole() -> T:
            connection.execute("begin")
            try:
                return work(connection)
            finally:
                connection.execute("rollback")

        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(thread, whole))
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SqliteTx]:
        connection, thread = reader = await self._readers.get()
        tx = SqliteTx(connection, thread)
        try:
            await tx.plain("begin")
            yield tx
        finally:
            # Nobody waits for it: the next reader comes after it, in the same thread's order, whatever was cancelled.
            thread.submit(rollback_if_open, connection)
            self._readers.put_nowait(reader)

    def statement(self) -> AbstractAsyncContextManager[SqliteTx]:
        return self.transaction()

    def snapshot(self) -> AbstractAsyncContextManager[SqliteTx]:
        return self.reading()

    async def close(self) -> None:
        async with self._turn:
            await asyncio.get_running_loop().run_in_executor(self._writer_thread, self._writer.close)
        self._writer_thread.shutdown(wait=False)
        while not self._readers.empty():
            connection, thread = self._readers.get_nowait()
            await asyncio.get_running_loop().run_in_executor(thread, connection.close)
            thread.shutdown(wait=False)
