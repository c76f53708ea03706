"""The schema: brought to a revision, compared with the tables, through Alembic on both databases.

Which revision a database has is read in `revision.py`, without Alembic: it takes longer to import than `serve` to start.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

import asyncpg
import msgspec
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from tollhouse.store.opening import sqlite_path
from tollhouse.store.revision import SCRIPTS, SchemaStatus, status, unreachable

T = TypeVar("T")


class Upgraded(msgspec.Struct, frozen=True):
    """What an upgrade came to. `set_aside`: what another system had here under our names, and its names now."""

    status: SchemaStatus
    set_aside: dict[str, str] = {}

    @property
    def up_to_date(self) -> bool:
        return self.status.up_to_date


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


def on_connection(database_url: str, work: Callable[[Connection], T]) -> T:
    """Run `work` on a plain SQLAlchemy connection, committed at the end (migrations and checks only).

    Raises ConfigurationError when the database cannot be opened or reached.
    """
    try:
        if database_url.startswith("sqlite:"):
            return _on_sqlite(database_url, work)
        return asyncio.run(_on_postgres(make_url(database_url), work))
    except (OSError, DBAPIError, asyncpg.PostgresError, sqlite3.Error) as error:
        raise unreachable(database_url, error) from error


def _on_sqlite(database_url: str, work: Callable[[Connection], T]) -> T:
    engine = create_engine(f"sqlite:///{sqlite_path(database_url)}")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("pragma busy_timeout = 10000")
            connection.exec_driver_sql("pragma journal_mode = wal")
            result = work(connection)
            connection.commit()
            return result
    finally:
        engine.dispose()


async def _on_postgres(url: URL, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def upgrade(database_url: str, revision: str = "head") -> Upgraded:
    """Bring the schema to `revision`, whole or not at all. Two processes may call it at once: the second finds nothing
    to do."""

    def work(connection: Connection) -> dict[str, str]:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("select pg_advisory_xact_lock(7203001)")
        else:  # the driver would begin no transaction before the first row is written
            connection.exec_driver_sql("begin immediate")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        aside: dict[str, str] = config.attributes["set_aside"]
        return aside

    aside = on_connection(database_url, work)
    return Upgraded(status(database_url), aside)


def differences(database_url: str, tables: MetaData, *, only_ours: bool = False) -> list[str]:
    """What the live schema has otherwise than `tables` (`tollhouse.migrations.metadata`); empty when they are equal.

    `only_ours`: tables that are not among them are another system's, and nobody's business here.
    """

    def is_looked_at(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in tables.tables

    def work(connection: Connection) -> list[str]:
        options: dict[str, object] = {"compare_type": True, "compare_server_default": False}
        if only_ours:
            options["include_name"] = is_looked_at
        context = MigrationContext.configure(connection, opts=options)
        return [repr(difference) for difference in compare_metadata(context, tables)]

    return on_connection(database_url, work)
