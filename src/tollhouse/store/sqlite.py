"""SQLite: WAL, `synchronous=FULL`, one writer at a time, readers beside it. Other processes may write at the same time."""

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
WRITES_WITHOUT_COPYING = 64
"""So many commits in the loop's thread are followed by one in the writer's thread, which copies the log where it is due."""
QUICK_SECONDS = 0.005
"""A disk that confirms a commit within this time is waited for in the loop's thread: the way to another thread costs more."""
LEARNING = 0.2
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
    """Take the one writer's place among processes; waits for another that has it."""
    connection.execute(f"pragma busy_timeout = {round(BUSY_TIMEOUT_SECONDS * 1000)}")
    try:
        connection.execute("begin immediate")
    finally:
        connection.execute("pragma busy_timeout = 0")


def begun_at_once(connection: sqlite3.Connection) -> bool:
    """Whether the writer's place was free, and is taken now. Never waits."""
    try:
        connection.execute("begin immediate")
    except sqlite3.OperationalError as error:
        if is_busy(error):
            return False
        raise
    return True


def commit(connection: sqlite3.Connection) -> None:
    """Commit, or leave nothing open: in one step of the thread, so that nobody can go away between the two."""
    try:
        connection.execute("commit")
    except BaseException:
        rollback_if_open(connection)
        raise


def commit_without_copying(connection: sqlite3.Connection) -> None:
    """As `commit`, but the log grows: a later commit copies it into the file."""
    connection.execute("pragma wal_autocheckpoint = 0")
    try:
        commit(connection)
    finally:
        connection.execute(f"pragma wal_autocheckpoint = {LOG_PAGES}")


def rollback_if_open(connection: sqlite3.Connection) -> None:
    """End the transaction without effect; some failures have ended it already."""
    if connection.in_transaction:
        connection.execute("rollback")


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process was in the way."""
    return "locked" in str(error) or "busy" in str(error)


def translate(error: sqlite3.Error) -> Exception:
    """The store's own error for a driver's."""
    if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error):
        return Duplicate(f"a row with this key exists already ({error})", constraint=str(error).partition(": ")[2])
    if isinstance(error, sqlite3.OperationalError):
        if is_busy(error):
            return LockedByAnother("the database is being written by another process", fix="try again in a moment")
        return StoreFailure(
            f"SQLite could not do this: {error}", fix="check the disk's free space and the file's rights"
        )
    return error


async def finished(running: "asyncio.Future[T]") -> T:
    """What a thread gives, whose work goes on when its caller goes away."""
    try:
        return await asyncio.shield(running)
    except sqlite3.Error as error:
        raise translate(error) from error


class SqliteTx:
    """Statements on one connection, each run in the thread that owns it."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def _run(self, work: Callable[[], T]) -> T:
        return await finished(asyncio.get_running_loop().run_in_executor(self._thread, work))

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
    """One SQLite file. Transactions of this process take turns on its one writing connection; grouped work commits once.

    Whose turn it is finds the writer's thread idle and no transaction open, whatever became of those before.
    """

    dialect: Dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self.clock = DatabaseClock()
        self._writer_thread = ThreadPoolExecutor(1, "tollhouse-writer")
        self._writer = connect(path)
        self._writer.execute("pragma busy_timeout = 0")  # who waits for another process says so, in `begin`
        self._turn = asyncio.Lock()
        self._commit_seconds = 0.0  # of late, on average
        self._without_copying = 0
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
        await self._turn.acquire()
        try:
            tx = SqliteTx(self._writer, self._writer_thread)
            await tx._run(lambda: begin(self._writer))
            yield tx
        except BaseException:
            await self._end(rollback_if_open)
            raise
        await self._end(commit)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction: for batches that need no await between statements.

        All of it runs in the caller's thread, where each statement takes microseconds; between two threads each would wait
        for the other's interpreter lock. Only what may take long goes to the writer's thread: waiting for another process,
        committing on a slow disk, copying the log.
        """
        await self._turn.acquire()
        try:
            if not begun_at_once(self._writer):
                await finished(self._in_thread(begin))
            result = work(self._writer)
        except BaseException as error:
            await self._end(rollback_if_open)
            if isinstance(error, sqlite3.Error):
                raise translate(error) from error
            raise
        self._without_copying += 1
        if self._commit_seconds > QUICK_SECONDS or self._without_copying > WRITES_WITHOUT_COPYING:
            self._without_copying = 0
            await self._end(self._timed(commit))
            return result
        try:
            self._timed(commit_without_copying)(self._writer)
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            self._turn.release()
        return result

    def _timed(self, ending: Callable[[sqlite3.Connection], None]) -> Callable[[sqlite3.Connection], None]:
        """The same, and how long it took is learned."""

        def timed(connection: sqlite3.Connection) -> None:
            before = time.perf_counter()
            ending(connection)
            self._commit_seconds += (time.perf_counter() - before - self._commit_seconds) * LEARNING

        return timed

    async def _end(self, last: Callable[[sqlite3.Connection], None]) -> None:
        """End the transaction in the writer's thread, which then has nothing left to do; only then is it the next one's turn."""
        ending = self._in_thread(last)
        ending.add_done_callback(lambda _: self._turn.release())
        await finished(ending)

    def _in_thread(self, work: Callable[[sqlite3.Connection], None]) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().run_in_executor(self._writer_thread, work, self._writer)

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
            return await finished(asyncio.get_running_loop().run_in_executor(thread, whole))
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
