"""SQLite for stories that are lived by the thousand: each statement at once in the caller's thread, never on the disk.

Statements, their order and transactions are the store's own. What its threads and the disk promise is attacked by
`tests/store`, `tests/races` and `tests/crash`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from tollhouse.store.opening import AnyStore, open_store, sqlite_path
from tollhouse.store.sqlite import SqliteStore, SqliteTx, begin, commit, rollback_if_open, translate

T = TypeVar("T")


class QuickTx(SqliteTx):
    """Statements that nobody waits for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as error:
            raise translate(error) from error


class QuickStore(SqliteStore):
    """A store whose transactions leave the thread alone."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._writer.execute("pragma synchronous = off")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[QuickTx]:
        self.clock.require_trusted()
        async with self._turn:
            tx = QuickTx(self._writer)
            await tx._run(lambda: begin(self._writer))
            try:
                yield tx
            except BaseException:
                rollback_if_open(self._writer)
                raise
            await tx._run(lambda: commit(self._writer))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[QuickTx]:
        connection, _ = reader = await self._readers.get()
        tx = QuickTx(connection)
        try:
            await tx.plain("begin")
            yield tx
        finally:
            rollback_if_open(connection)
            self._readers.put_nowait(reader)


async def open_quick_store(database_url: str) -> AnyStore:
    """As `open_store`; PostgreSQL as ever."""
    if not database_url.startswith("sqlite:"):
        return await open_store(database_url)
    store = QuickStore(sqlite_path(database_url))
    await store.measure_clock()
    return store
