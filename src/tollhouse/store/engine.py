"""What both databases offer to the rooms: transactions in which named statements run."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from tollhouse.store.clock import DatabaseClock
from tollhouse.store.sql import Sql

Dialect = Literal["sqlite", "postgresql"]
Value = str | int | bytes | None


class Row(Protocol):
    """A row read by column name."""

    def __getitem__(self, key: str) -> Any: ...

    def keys(self) -> Any: ...


class Tx(Protocol):
    """An open transaction. Statements take their parameters by name."""

    dialect: Dialect

    async def fetch(self, sql: Sql, **parameters: Value) -> list[Row]:
        """Every row of the statement."""
        ...

    async def fetch_one(self, sql: Sql, **parameters: Value) -> Row | None:
        """The first row, or None."""
        ...

    async def execute(self, sql: Sql, **parameters: Value) -> int:
        """Run it; the number of rows that it changed."""
        ...

    async def execute_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> None:
        """Run it once per row of parameters."""
        ...

    async def fetch_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> list[Row]:
        """Run it once per row of parameters, in one round trip; every row that they return."""
        ...


class Store(Protocol):
    """One database. `clock` is the database's own time, see `DatabaseClock`."""

    dialect: Dialect
    clock: DatabaseClock

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Commits when the block ends, rolls back when it raises. On SQLite it holds the one writer (`BEGIN IMMEDIATE`):
        never await anything slow inside. Raises Unavailable while the clock is not trusted."""
        ...

    def statement(self) -> AbstractAsyncContextManager[Tx]:
        """As `transaction`, for one statement alone: PostgreSQL commits it without being asked twice."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Tx]:
        """Statements that only read; each sees what is committed when it begins."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Tx]:
        """As `reading`, and all of them see the same moment."""
        ...

    async def close(self) -> None:
        """Give every connection back."""
        ...
