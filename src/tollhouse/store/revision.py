"""Which revision of the schema a database has, and whether this version of Tollhouse knows it.

`serve` refuses a database whose schema it does not know: an older one wants `tollhouse db upgrade`, a newer one wants a
newer Tollhouse.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import msgspec

import tollhouse
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.store.opening import sqlite_path

SCRIPTS = Path(tollhouse.__file__).parent / "migrations"
CURRENT = "select version_num from alembic_version"


class SchemaStatus(msgspec.Struct, frozen=True):
    """Which revision a database has, and which one this version of Tollhouse knows as its newest."""

    current: str | None
    newest: str
    known: bool  # whether `current` is a revision of this version at all

    @property
    def up_to_date(self) -> bool:
        return self.current == self.newest


def status(database_url: str) -> SchemaStatus:
    """Which revision the database has, without changing it. Raises ConfigurationError when it cannot be read."""
    try:
        if database_url.startswith("sqlite:"):
            current = _current_of_sqlite(sqlite_path(database_url))
        else:
            current = asyncio.run(_current_of_postgres(database_url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, sqlite3.Error) as error:
        raise unreachable(database_url, error) from error
    known = revisions()
    return SchemaStatus(current, known[-1], current is None or current in known)


def revisions() -> tuple[str, ...]:
    """Every revision of this version, oldest first: the numbers that begin the names of the migrations."""
    return tuple(sorted(path.name.partition("_")[0] for path in (SCRIPTS / "versions").glob("[0-9]*_*.py")))


def _current_of_sqlite(path: str) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma busy_timeout = 10000")
        if not connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone():
            return None
        row = connection.execute(CURRENT).fetchone()
        return str(row[0]) if row else None


async def _current_of_postgres(database_url: str) -> str | None:
    connection = await asyncpg.connect(database_url)
    try:
        if await connection.fetchval("select to_regclass('alembic_version')") is None:
            return None
        current: str | None = await connection.fetchval(CURRENT)
        return current
    finally:
        await connection.close()


def unreachable(database_url: str, error: BaseException) -> ConfigurationError:
    """The error for a database that cannot be opened or reached."""
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    if database_url.startswith("sqlite:"):
        fix = "name a file in a folder that exists and may be written, as in sqlite:///tollhouse.db"
        return ConfigurationError(f"the SQLite file cannot be used: {said}", setting="DATABASE_URL", fix=fix)
    fix = "check that PostgreSQL runs there, and that user, password and database are right"
    return ConfigurationError(f"the database cannot be reached: {said}", setting="DATABASE_URL", fix=fix)


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
