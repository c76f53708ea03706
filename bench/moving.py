"""Moving an older system's users: each command over so many of them, with its time and its largest memory.

    python -m bench.moving [IMPORTED] [MOVED]     10,000 and 100,000 by default; on SQLite, then on PostgreSQL

Nobody of them pays: a subscriber costs two calls to Stripe, which are spread out on purpose. The commands are the ones that
staff run, each in a process of its own.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import asyncpg

from tests.support.postgres import running_postgres
from tests.support.serving import SESSION_SECRET
from tests.upgrade.minutes import load, sessions_toml
from tollhouse.catalog.actions import publish
from tollhouse.catalog.load import load_catalog
from tollhouse.customers.queries import INSERT_CUSTOMER
from tollhouse.kernel.ids import new_id
from tollhouse.ledger.book import entry_row, state_document
from tollhouse.ledger.granting import open_state
from tollhouse.ledger.queries import INSERT_ACCOUNT, INSERT_ENTRY
from tollhouse.store import cell_of, open_store, schema

IMPORTED, MOVED = 10_000, 100_000
FREE = "sessions = 100,"
IMPORTING = (("db", "upgrade"), ("migrate", "import"), ("verify",))
MOVING = (
    ("migrate", "pricing", "--plan"),
    ("migrate", "pricing", "--notify"),
    ("migrate", "pricing", "--apply"),
    ("migrate", "pricing", "--apply"),
    ("verify",),
)
_SQLITE = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < {users})
insert into users (id, email, name, plan, locale, created_at)
select printf('old_%07d', i), 'old' || i || '@example.com', 'User ' || i, 'free', 'en', 1740000000 + i from n;
insert into monthly_usage (user_id, month, minutes_included, total_minutes_used)
select id, '2025-10', 60, 12.5 from users where id like 'old_%';
"""
_POSTGRES = """
insert into users (id, email, name, plan, locale, created_at)
select 'old_' || lpad(i::text, 7, '0'), 'old' || i || '@example.com', 'User ' || i, 'free', 'en', to_timestamp(1740000000 + i)
from generate_series(1, {users}) i;
insert into monthly_usage (user_id, month, minutes_included, total_minutes_used)
select id, '2025-10', 60, 12.5 from users where id like 'old_%';
"""


def fill(url: str, users: int) -> None:
    """The old tables, with so many users more."""
    load(url)
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as old:
            old.executescript(_SQLITE.format(users=users))
            old.commit()
        return

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(_POSTGRES.format(users=users))
        finally:
            await connection.close()

    asyncio.run(work())


def timed(directory: Path, url: str, words: tuple[str, ...]) -> tuple[float, int, str]:
    """Seconds, the largest memory in MB, and what the command said last."""
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(directory), "DATABASE_URL": url, "ENVIRONMENT": "test",
        "SESSION_SECRET": SESSION_SECRET,
    }  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "tollhouse", *words], cwd=directory, env=environ, stdout=subprocess.PIPE, text=True
    )
    said = process.stdout.read() if process.stdout is not None else ""
    _, _, used = os.wait4(process.pid, 0)
    return time.monotonic() - began, used.ru_maxrss // 1024, (said.strip().splitlines() or [""])[-1]


async def settle(url: str, file: Path, users: int) -> None:
    """So many customers on the first version of the free plan, as signing up would have made them."""
    store = await open_store(url)
    try:
        async with store.transaction() as tx:
            catalog = await publish(tx, load_catalog(file), store.clock.now_ms())
        for first in range(0, users, 5_000):
            now = store.clock.now_ms()
            made = [new_id("cus") for _ in range(first, min(first + 5_000, users))]
            opened = [open_state(each, catalog.plans["free"], catalog, now, True) for each in made]
            async with store.transaction() as tx:
                await tx.execute_many(INSERT_CUSTOMER, [_customer(each, first + n, now) for n, each in enumerate(made)])
                accounts = [
                    {"cell": cell_of(each), "customer": each, "state": state_document(change.state),
                     "next_due": change.state.next_due}
                    for each, change in zip(made, opened, strict=True)
                ]  # fmt: skip
                await tx.execute_many(INSERT_ACCOUNT, accounts)
                entries = [
                    entry_row(each, entry)
                    for each, change in zip(made, opened, strict=True)
                    for entry in change.entries
                ]
                await tx.execute_many(INSERT_ENTRY, entries)
    finally:
        await store.close()


def _customer(customer: str, number: int, now: int) -> dict[str, str | int | None]:
    return {
        "cell": cell_of(customer), "id": customer, "external_id": None, "email": f"u{number}@example.com", "name": "",
        "city": "", "locale": "en", "made_by": "api", "created_at": now, "verified_at": now,
    }  # fmt: skip


def main(imported: int, moved: int) -> None:
    """Every step on both databases, a line each."""
    with tempfile.TemporaryDirectory() as scratch, running_postgres() as server:
        for kind in ("sqlite", "postgresql"):
            directory = Path(scratch, kind)
            directory.mkdir()
            file = directory / "tollhouse.toml"
            for name, users, steps in (("old", imported, IMPORTING), ("many", moved, MOVING)):
                url = f"sqlite:///{directory / name}.db" if kind == "sqlite" else server.new_database()
                file.write_text(sessions_toml())
                if name == "old":
                    fill(url, users)
                else:
                    schema.upgrade(url)
                    asyncio.run(settle(url, file, users))
                    file.write_text(sessions_toml().replace(FREE, "sessions = 150,"))
                for words in steps:
                    seconds, megabytes, said = timed(directory, url, words)
                    line = f"{kind:10} {users:7} {' '.join(words):26} {seconds:8.1f} s {megabytes:5} MB   {said}"
                    print(line, flush=True)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:3] or (IMPORTED, MOVED)))
