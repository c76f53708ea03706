"""What was written, and whether the books are right: checked after every bench."""

import asyncio
import sqlite3

import asyncpg

from bench.product import Bed, configuration
from tollhouse.catalog.actions import refresh
from tollhouse.ledger.verify import verify_all
from tollhouse.store import open_store
from tollhouse.store.opening import sqlite_path

TABLES = ("entry", "idempotency_key", "hold", "lease", "refusal")


def rows_written(bed: Bed) -> int:
    """Rows inserted so far, and account rows updated (their versions added up)."""
    counts = " + ".join(f"(select count(*) from {table})" for table in TABLES)
    statement = f"select {counts} + (select coalesce(sum(version), 0) from account)"
    if bed.url.startswith("sqlite:"):
        connection = sqlite3.connect(sqlite_path(bed.url))
        (written,) = connection.execute(statement).fetchone()
        connection.close()
        return int(written)
    return int(asyncio.run(_fetch(bed.url, statement)))


async def _fetch(url: str, statement: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(statement))
    finally:
        await connection.close()


def books_are_clean(bed: Bed) -> None:
    """Recompute every account from its entries. Raises RuntimeError with what was found."""
    if not bed.url.startswith("sqlite:"):
        asyncio.run(_execute(bed.url, "analyze"))
    asyncio.run(_verify(bed))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def _verify(bed: Bed) -> None:
    store = await open_store(bed.url)
    try:
        async with store.reading() as tx:
            catalog = await refresh(tx, configuration(bed.folder, bed.url).catalog)
        report = await verify_all(store, catalog)
    finally:
        await store.close()
    if report.findings:
        raise RuntimeError(f"verify found: {report.findings[:3]}")
