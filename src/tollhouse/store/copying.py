"""A copy of the whole database as it stands in one moment, written while everybody goes on writing.

SQLite: its own backup, a database file. PostgreSQL: a zip with a CSV of each table (`COPY`, with its head), read in one
snapshot, so that it needs no tool of the right version; the schema is made by `tollhouse db upgrade`, and each file goes
back with `\\copy "table" from … csv header`.
"""

import asyncio
import os
import sqlite3
import time
import zipfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tollhouse.kernel.errors import Unavailable
from tollhouse.kernel.ids import new_id
from tollhouse.store.opening import AnyStore
from tollhouse.store.postgres import FAILURES, PostgresStore, translate
from tollhouse.store.sqlite import SqliteStore, connect

TIMEOUT_SECONDS = 6 * 3_600.0
LEFT_SECONDS = 600.0
REVISION = "revision.txt"
_TABLES = (
    "select relname from pg_class where relkind in ('r', 'p') and not relispartition"
    " and relnamespace = current_schema()::regnamespace order by relname"
)


def usual_folder(store: AnyStore) -> Path:
    """`backups` beside the database's file; for PostgreSQL in the folder in which this process runs."""
    return (Path(store.path).absolute().parent if isinstance(store, SqliteStore) else Path.cwd()) / "backups"


async def copy_database(store: AnyStore, folder: Path, name: str) -> Path:
    """Write the copy, which its owner alone can read; whole or not at all. An earlier one of this name is replaced.

    Raises Unavailable `not_writable`, or when the database cannot be read.
    """
    path = folder / (f"{name}.db" if isinstance(store, SqliteStore) else f"{name}.zip")
    fresh = path.with_name(f"{path.name}.{new_id('new')}")
    try:
        await asyncio.to_thread(_make_room, fresh)
        if isinstance(store, SqliteStore):
            await asyncio.to_thread(_copy_sqlite, store.path, fresh)
        else:
            await _copy_postgres(store, fresh)
        await asyncio.to_thread(_put_in_place, fresh, path)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(
            f"the backup cannot be written to {folder}: {error}", code="not_writable",
            fix="name a folder that can be written with --backup-to, or leave the backup out with --no-backup",
        ) from error  # fmt: skip
    finally:
        await asyncio.to_thread(_take_away, fresh)
    return path


def _take_away(fresh: Path) -> None:
    with suppress(OSError):
        fresh.unlink(missing_ok=True)


def _make_room(fresh: Path) -> None:
    fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in fresh.parent.glob(f"{fresh.stem}.new_*"):  # by somebody who was killed: nobody writes to it any more
        if time.time() - left.stat().st_mtime > LEFT_SECONDS:
            left.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))


def _copy_sqlite(source: str, target: Path) -> None:
    with closing(connect(source)) as there, closing(sqlite3.connect(target)) as copy:
        there.backup(copy)
        copy.execute("pragma journal_mode = delete")  # one file, nothing beside it


async def _copy_postgres(store: PostgresStore, target: Path) -> None:
    connection = await store.connect_apart({}, TIMEOUT_SECONDS)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                await _write_tables(connection, archive)
    except FAILURES as error:
        if isinstance(error, OSError) and error.filename is not None:  # the file's, not the network's
            raise
        raise translate(error) from error
    finally:
        await connection.close()


async def _write_tables(connection: Any, archive: zipfile.ZipFile) -> None:
    archive.writestr(REVISION, await connection.fetchval("select version_num from alembic_version") or "")
    for row in await connection.fetch(_TABLES):
        table = row["relname"]
        if table == "alembic_version":
            continue
        with archive.open(f"{table}.csv", "w", force_zip64=True) as file:

            async def write(data: bytes, file: Any = file) -> None:
                await asyncio.to_thread(file.write, data)  # compressing would hold up everybody else

            await connection.copy_from_query(f'select * from "{table}"', output=write, format="csv", header=True)


def _put_in_place(fresh: Path, path: Path) -> None:
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
