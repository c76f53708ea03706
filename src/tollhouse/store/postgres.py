"""PostgreSQL through asyncpg: a pool for the rooms; the lanes hold connections of their own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import asyncpg

from tollhouse.store.clock import DatabaseClock
from tollhouse.store.engine import Dialect, Row, Value
from tollhouse.store.errors import ConnectionLost, Duplicate, LockedByAnother, StoreFailure
from tollhouse.store.sql import Sql

WRITERS = 10
READERS = 6
ACQUIRE_SECONDS = 5.0
CLOSE_SECONDS = 5
COMMAND_TIMEOUT_SECONDS = 30.0
LOCK_TIMEOUT = "1s"
APPLICATION_NAME = "tollhouse"


# The last of the driver's own is raised where a connection dies in the moment in which it is given back to its pool.
FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def translate(error: BaseException) -> BaseException:
    """The store's own error for a driver's; what is a mistake in a statement or a value stays as it is."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return Duplicate(
            f"a row with this key exists already ({error.constraint_name})", constraint=error.constraint_name
        )
    if isinstance(error, asyncpg.LockNotAvailableError):
        return LockedByAnother("a row is locked by somebody else", fix="try again in a moment")
    if isinstance(
        error,
        (
            asyncpg.PostgresConnectionError,
            asyncpg.AdminShutdownError,
            asyncpg.CrashShutdownError,
            asyncpg.CannotConnectNowError,
        ),
    ):
        return ConnectionLost(f"the database went away: {error}", fix="check that PostgreSQL runs and can be reached")
    if isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError, OSError, TimeoutError)):
        return ConnectionLost(
            f"the database cannot be reached: {error}", fix="check that PostgreSQL runs and can be reached"
        )
    passing = (
        asyncpg.DeadlockDetectedError,
        asyncpg.SerializationError,
        asyncpg.QueryCanceledError,
        asyncpg.InsufficientResourcesError,
        asyncpg.OperatorInterventionError,
    )
    if isinstance(error, passing):
        return StoreFailure(
            f"PostgreSQL could not do this now: {error}", fix="try again; if it stays, look at the database's log"
        )
    return error


class _Pooled(asyncpg.Connection):  # type: ignore[misc]
    """A connection of a pool. Our statements change nothing of its session, so nothing is to be reset when it is given
    back; a transaction that was left open is rolled back all the same."""

    def get_reset_query(self) -> str:
        return ""


class PostgresTx:
    """Statements inside one transaction of one pooled connection."""

    dialect: Dialect = "postgresql"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: Sql, **parameters: Value) -> list[Row]:
        rows: list[Row] = await self._connection.fetch(sql.for_postgres, *(parameters[name] for name in sql.parameters))
        return rows

    async def fetch_one(self, sql: Sql, **parameters: Value) -> Row | None:
        rows = await self.fetch(sql, **parameters)
        return rows[0] if rows else None

    async def execute(self, sql: Sql, **parameters: Value) -> int:
        status: str = await self._connection.execute(sql.for_postgres, *(parameters[name] for name in sql.parameters))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def execute_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> None:
        await self._connection.executemany(sql.for_postgres, [[row[name] for name in sql.parameters] for row in rows])

    async def fetch_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> list[Row]:
        given = [[row[name] for name in sql.parameters] for row in rows]
        found: list[Row] = await self._connection.fetchmany(sql.for_postgres, given)
        return found


class PostgresStore:
    """One PostgreSQL database, shared with any number of processes and hosts."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str, writers: Any, readers: Any) -> None:
        self.url = url
        self.clock = DatabaseClock()
        # Apart, so that writers who wait for a locked row never keep keys, clock and pages from being read.
        self._writers = writers
        self._readers = readers

    @classmethod
    async def open(cls, url: str) -> "PostgresStore":
        """Connect. Raises ConnectionLost when the server does not answer."""
        try:
            writers = await _pool(url, WRITERS)
            readers = await _pool(url, READERS, default_transaction_read_only="on")
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            raise translate(error) from error
        return cls(url, writers, readers)

    async def measure_clock(self) -> None:
        """Read the server's clock; half of the round trip is the error."""
        async with self._readers.acquire(timeout=ACQUIRE_SECONDS) as connection:
            before = self.clock.monotonic_ms()
            database_ms = await connection.fetchval("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
            self.clock.measured(database_ms, before, self.clock.monotonic_ms())

    @asynccontextmanager
    async def _session(self, pool: Any, begin: Callable[[Any], Any] = nullcontext) -> AsyncIterator[PostgresTx]:
        try:
            async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection, begin(connection):
                yield PostgresTx(connection)
        except FAILURES as error:
            raise translate(error) from error

    def transaction(self) -> Any:
        self.clock.require_trusted()
        return self._session(self._writers, lambda connection: connection.transaction())

    def statement(self) -> Any:
        self.clock.require_trusted()
        return self._session(self._writers)

    def reading(self) -> Any:
        return self._session(self._readers)

    def snapshot(self) -> Any:
        return self._session(self._readers, lambda connection: connection.transaction(isolation="repeatable_read"))

    async def connect_apart(self, settings: dict[str, str], timeout_seconds: float) -> Any:
        """A connection outside the pool, for a lane. Raises ConnectionLost."""
        try:
            return await asyncpg.connect(
                self.url,
                timeout=timeout_seconds,
                command_timeout=timeout_seconds,
                server_settings={"application_name": APPLICATION_NAME, "timezone": "UTC", **settings},
            )
        except FAILURES as error:
            raise translate(error) from error

    async def close(self) -> None:
        for pool in (self._writers, self._readers):
            try:
                await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
            except TimeoutError:
                pool.terminate()


async def _pool(url: str, size: int, **settings: str) -> Any:
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        connection_class=_Pooled,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings={
            "application_name": APPLICATION_NAME,
            "lock_timeout": LOCK_TIMEOUT,
            "timezone": "UTC",
            **settings,
        },
    )
