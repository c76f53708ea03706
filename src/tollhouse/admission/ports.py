"""How lanes reach their database: one SELECT to load, one statement to save. PostgreSQL and SQLite."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import asyncpg
import msgspec

from tollhouse.admission import queries
from tollhouse.admission.batch import Batch, EntryRow
from tollhouse.admission.model import Ask, KnownKey, Loaded
from tollhouse.store import LockedByAnother, cell_of
from tollhouse.store.errors import ConnectionLost, Duplicate
from tollhouse.store.postgres import FAILURES, PostgresStore, translate
from tollhouse.store.sqlite import SqliteStore

LOCK_WAIT = "50ms"
STATEMENT_SECONDS = 15.0
BATCHES_LOOKED_UP = 50

_encode = msgspec.json.Encoder().encode


def texts(rows: Sequence[tuple[Any, ...]], width: int) -> list[str]:
    """Each column of the rows as one text, which PostgreSQL splits faster than the driver encodes an array."""
    return [_joined(column) for column in zip(*rows, strict=True)] if rows else [""] * width


def _joined(column: tuple[Any, ...]) -> str:
    first = column[0]
    try:
        if isinstance(first, str):
            return "\x1f".join(column)
        if isinstance(first, int):
            return _encode(column)[1:-1].replace(b",", b"\x1f").replace(b"null", b"\x02").decode()
        if isinstance(first, bytes):
            return "\x1f".join([value.hex() for value in column])
    except (TypeError, AttributeError):  # one of them is None
        pass
    return "\x1f".join(
        ["\x02" if value is None else value.hex() if isinstance(value, bytes) else str(value) for value in column]
    )


class Port(Protocol):
    """One lane's way to the database."""

    async def load(self, customers: Sequence[str], asks: Sequence[Ask], now: int, *, lock: bool = False) -> Loaded:
        """Documents of `customers` and the keys of `asks`, in one snapshot. `lock` first waits for whoever holds the rows."""
        ...

    async def newer(self, copies: Mapping[str, int]) -> dict[str, tuple[int, str]]:
        """(version, document) of those whose version is another than the one named here."""
        ...

    async def save(self, batch: Batch) -> set[str]:
        """The customers that were saved; the others were stale. Raises LockedByAnother after 50 ms, and wrote nothing."""
        ...

    async def free(self, customers: Sequence[str]) -> set[str]:
        """Those among `customers` whose rows nobody holds at this moment."""
        ...

    async def close(self) -> None:
        """Give the connection back."""
        ...


def _keys_of(asks: Sequence[Ask]) -> tuple[list[int], list[str], list[str], list[str]]:
    return (
        [cell_of(ask.customer) for ask in asks],
        [ask.customer for ask in asks],
        [ask.operation for ask in asks],
        [ask.key for ask in asks],
    )


class PostgresPort:
    """A connection of its own, with prepared statements and a short lock time-out."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._connection: Any = None
        self._look_keys_up = 0  # in so many batches

    async def _ready(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._store.connect_apart(
                # Nested loops over the arrays: every row is found by its key, and locked in the arrays' order.
                {"lock_timeout": LOCK_WAIT, "enable_hashjoin": "off", "enable_mergejoin": "off", "enable_seqscan": "off",
                 "plan_cache_mode": "force_generic_plan", "jit": "off"},
                STATEMENT_SECONDS,
            )  # fmt: skip
        return self._connection

    async def load(self, customers: Sequence[str], asks: Sequence[Ask], now: int, *, lock: bool = False) -> Loaded:
        connection = await self._ready()
        cells = [cell_of(customer) for customer in customers]
        try:
            if lock:
                async with connection.transaction():
                    await connection.execute("set local lock_timeout = '15s'")
                    await connection.fetch(queries.LOCK_POSTGRES, cells, customers)
            rows = await connection.fetch(queries.LOAD_POSTGRES, cells, customers, *_keys_of(asks), now)
        except FAILURES as error:
            raise self._translated(error) from error
        accounts: dict[str, tuple[int, str]] = {}
        keys: dict[tuple[str, str, str], KnownKey] = {}
        due: set[str] = set()
        for kind, customer, version, text, operation, key, fingerprint in rows:
            if kind == "a":
                accounts[customer] = (version, text)
            elif kind == "k":
                keys[customer, operation, key] = KnownKey(fingerprint, text)
            else:
                due.add(customer)
        return Loaded(accounts, keys, due)

    async def newer(self, copies: Mapping[str, int]) -> dict[str, tuple[int, str]]:
        connection = await self._ready()
        customers = list(copies)
        try:
            rows = await connection.fetch(
                queries.NEWER_POSTGRES, [cell_of(c) for c in customers], customers, list(copies.values())
            )
        except FAILURES as error:
            raise self._translated(error) from error
        return {customer: (version, state) for customer, version, state in rows}

    async def save(self, batch: Batch) -> set[str]:
        connection = await self._ready()
        columns: list[Any] = [
            *texts(batch.accounts, 5), *texts(batch.entries, 14), *texts(batch.holds, 5), *texts(batch.leases, 7),
        ]  # fmt: skip
        if batch.facts:
            columns += [list(column) for column in zip(*batch.facts, strict=True)]
        try:
            saved = await self._save(connection, columns, tell=bool(batch.facts))
        except FAILURES as error:
            raise self._translated(error) from error
        return set(saved)

    async def _save(self, connection: Any, columns: list[Any], *, tell: bool) -> list[str]:
        """Almost every key is new, so they are not looked up first; where one is not, and for some batches after it, they are."""
        if self._look_keys_up == 0:
            new = queries.SAVE_NEW_KEYS_AND_TELL_POSTGRES if tell else queries.SAVE_NEW_KEYS_POSTGRES
            try:
                return await connection.fetchval(new, *columns)  # type: ignore[no-any-return]
            except asyncpg.UniqueViolationError:
                self._look_keys_up = BATCHES_LOOKED_UP
        self._look_keys_up -= 1
        any_keys = queries.SAVE_AND_TELL_POSTGRES if tell else queries.SAVE_POSTGRES
        return await connection.fetchval(any_keys, *columns)  # type: ignore[no-any-return]

    async def free(self, customers: Sequence[str]) -> set[str]:
        connection = await self._ready()
        try:
            rows = await connection.fetch(queries.FREE_POSTGRES, [cell_of(c) for c in customers], list(customers))
        except FAILURES as error:
            raise self._translated(error) from error
        return {row[0] for row in rows}

    def _translated(self, error: BaseException) -> BaseException:
        translated = translate(error)
        if isinstance(translated, ConnectionLost) and self._connection is not None:
            self._connection.terminate()
            self._connection = None
        return translated

    async def close(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close()


class _NotPlain(Exception):
    """A version has moved: what was written is taken back, and the batch saved row by row."""


class SqlitePort:
    """The store's writer thread: a whole batch is one transaction in it, with one fsync."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def load(self, customers: Sequence[str], asks: Sequence[Ask], now: int, *, lock: bool = False) -> Loaded:
        def work(connection: sqlite3.Connection) -> Loaded:
            accounts: dict[str, tuple[int, str]] = {}
            due: set[str] = set()
            for customer in customers:
                cell = cell_of(customer)
                row = connection.execute(queries.SQLITE_READ_ACCOUNT, (cell, customer)).fetchone()
                if row is not None:
                    accounts[customer] = (row[0], row[1])
                if connection.execute(queries.SQLITE_DUE, (cell, customer, now, cell, customer, now)).fetchone():
                    due.add(customer)
            keys: dict[tuple[str, str, str], KnownKey] = {}
            for ask in asks:
                place = (ask.customer, ask.operation, ask.key)
                row = connection.execute(queries.SQLITE_READ_KEY, (cell_of(ask.customer), *place)).fetchone()
                if row is not None:
                    keys[place] = KnownKey(bytes(row[0]), row[1])
            return Loaded(accounts, keys, due)

        return await self._store.read(work)

    async def newer(self, copies: Mapping[str, int]) -> dict[str, tuple[int, str]]:
        def work(connection: sqlite3.Connection) -> dict[str, tuple[int, str]]:
            found: dict[str, tuple[int, str]] = {}
            for customer, version in copies.items():
                row = connection.execute(queries.SQLITE_READ_ACCOUNT, (cell_of(customer), customer)).fetchone()
                if row is not None and row[0] != version:
                    found[customer] = (row[0], row[1])
            return found

        return await self._store.read(work)

    async def save(self, batch: Batch) -> set[str]:
        """As on PostgreSQL: keys are taken for new and versions for current, until one is not."""

        def plain(connection: sqlite3.Connection) -> set[str]:
            before = connection.total_changes
            updates = [(state, due, cell, customer, version) for cell, customer, version, state, due in batch.accounts]
            connection.executemany(queries.SQLITE_UPDATE, updates)
            if connection.total_changes - before != len(updates):
                raise _NotPlain
            self._insert(connection, batch, batch.entries, batch.customers)
            return batch.customers

        def looked_up(connection: sqlite3.Connection) -> set[str]:
            known = {
                row[1]
                for row in batch.entries
                if row[11] is not None
                and connection.execute(queries.SQLITE_KEY_EXISTS, (row[0], row[1], row[10], row[11])).fetchone()
            }
            saved: set[str] = set()
            for cell, customer, version, state, due in batch.accounts:
                if customer not in known:
                    cursor = connection.execute(queries.SQLITE_UPDATE, (state, due, cell, customer, version))
                    if cursor.rowcount == 1:
                        saved.add(customer)
            self._insert(connection, batch, [row for row in batch.entries if row[1] in saved], saved)
            return saved

        try:
            return await self._store.write(plain)
        except (_NotPlain, Duplicate):
            return await self._store.write(looked_up)

    def _insert(self, connection: sqlite3.Connection, batch: Batch, rows: list[EntryRow], saved: set[str]) -> None:
        connection.executemany(queries.SQLITE_INSERT_ENTRY, [row[:10] for row in rows])
        connection.executemany(
            queries.SQLITE_INSERT_KEY,
            [(row[0], row[1], row[10], row[11], row[12], row[2], row[13], row[5]) for row in rows if row[11]],
        )
        if batch.holds:
            connection.executemany(queries.SQLITE_INSERT_HOLD, (row for row in batch.holds if row[1] in saved))
        if batch.leases:
            leases = (
                (cell, customer, seq, action, slots, ttl, at, at, at + ttl)
                for cell, customer, seq, action, slots, ttl, at in batch.leases
                if customer in saved
            )
            connection.executemany(queries.SQLITE_INSERT_LEASE, leases)
        if batch.facts:
            facts = ((*row, row[4]) for row in batch.facts if row[2] in saved)
            connection.executemany(queries.SQLITE_INSERT_FACT, facts)

    async def free(self, customers: Sequence[str]) -> set[str]:
        return set(customers)

    async def close(self) -> None:
        return None


def open_port(store: PostgresStore | SqliteStore) -> Port:
    """The port that fits this store."""
    return PostgresPort(store) if isinstance(store, PostgresStore) else SqlitePort(store)


__all__ = ["LockedByAnother", "Port", "PostgresPort", "SqlitePort", "open_port"]
