"""The schema's versions: `upgrade`, `current`, `check`, through Alembic on both databases.

`serve` refuses a database whose schema it does not know: an older one wants `tollhouse db upgrade`, a newer one wants a
newer Tollhouse.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import asyncpg
import msgspec
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

import tollhouse
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.store.opening import sqlite_path

T = TypeVar("T")

SCRIPTS = Path(tollhouse.__file__).parent / "migrations"


class SchemaStatus(msgspec.Struct, frozen=True):
    """Which revision a database has, and which one this version of Tollhouse knows as its newest."""

    current: str | None
    newest: str
    known: bool  # whether `current` is a revision of this version at all

    @property
    def up_to_date(self) -> bool:
        return self.current == self.newest


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
        raise _unreachable(database_url, error) from error


def _unreachable(database_url: str, error: BaseException) -> ConfigurationError:
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    if database_url.startswith("sqlite:"):
        fix = "name a file in a folder that exists and may be written, as in sqlite:///tollhouse.db"
        return ConfigurationError(f"the SQLite file cannot be used: {said}", setting="DATABASE_URL", fix=fix)
    fix = "check that PostgreSQL runs there, and that user, password and database are right"
    return ConfigurationError(f"the database cannot be reached: {said}", setting="DATABASE_URL", fix=fix)


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


def upgrade(database_url: str, revision: str = "head") -> SchemaStatus:
    """Bring the schema to `revision`. Two processes may call it at once: the second finds nothing to do."""

    def work(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("select pg_advisory_xact_lock(7203001)")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    on_connection(database_url, work)
    return status(database_url)


def status(database_url: str) -> SchemaStatus:
    """Which revision the database has, without changing it."""
    scripts = ScriptDirectory.from_config(_config())
    newest = scripts.get_current_head() or ""
    current = on_connection(
        database_url, lambda connection: MigrationContext.configure(connection).get_current_revision()
    )
    known = current is None or current in {script.revision for script in scripts.walk_revisions()}
    return SchemaStatus(current, newest, known)


def differences(database_url: str, tables: MetaData) -> list[str]:
    """What the live schema has otherwise than `tables` (`tollhouse.migrations.metadata`); empty when they are equal."""

    def work(connection: Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        return [repr(difference) for difference in compare_metadata(context, tables)]

    return on_connection(database_url, work)


def require_known(found: SchemaStatus) -> None:
    """Raises ConfigurationError unless this version of Tollhouse can serve the database as it is."""
    if found.up_to_date:
        return
    if not found.known:
        raise ConfigurationError(
            f"the database has the schema {found.current}, which this version does not know (it knows {found.newest})",
            setting="DATABASE_URL",
            fix="run the version of Tollhouse that made it, or a newer one",
        )
    raise ConfigurationError(
        f"the database has {'no schema' if found.current is None else f'the older schema {found.current}'}",
        setting="DATABASE_URL",
        fix="run `tollhouse db upgrade`",
    )
