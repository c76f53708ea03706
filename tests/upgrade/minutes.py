"""The database of a system that sold minutes, and every row that stands in it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from importlib import resources
from typing import Any

import asyncpg

from tollhouse.store.opening import sqlite_path

OLD_TABLES = ("users", "subscriptions", "monthly_usage", "session")
"""Two of them bear names of ours."""


def load(database_url: str, more: Iterable[str] = ()) -> None:
    """Make the old database as it was, and run further statements in it."""
    kind = "sqlite" if database_url.startswith("sqlite:") else "postgresql"
    text = resources.files("tollhouse.presets").joinpath("minutes", f"{kind}.sql").read_text("utf-8")
    run(database_url, "\n".join([text, *more]))


def run(database_url: str, script: str) -> None:
    """Statements, each committed."""
    if database_url.startswith("sqlite:"):
        with closing(sqlite3.connect(sqlite_path(database_url), isolation_level=None)) as connection:
            connection.executescript(script)
        return

    async def work() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    asyncio.run(work())


def rows(database_url: str, table: str) -> list[dict[str, Any]]:
    """Every row of a table, by its first column."""
    if database_url.startswith("sqlite:"):
        with closing(sqlite3.connect(sqlite_path(database_url))) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"select * from {table} order by 1")]

    async def work() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(database_url)
        try:
            return [dict(row) for row in await connection.fetch(f"select * from {table} order by 1")]
        finally:
            await connection.close()

    return asyncio.run(work())


OLD_PLANS = """
[plans.pro]
title = "Pro"
retired = true
prices = [{ amount = 1_900, currency = "usd", every = "month", stripe_price = "price_minutes_pro" }]
limits = { sessions = 1_500, requests = 600, concurrent = 3, projects = 3 }

[plans.business]
title = "Business"
retired = true
prices = [{ amount = 7_900, currency = "usd", every = "month", stripe_price = "price_minutes_business" }]
limits = { sessions = 7_500, requests = 3_000, concurrent = 10, projects = 10 }

"""


def sessions_toml(old_plans: str = OLD_PLANS) -> str:
    """The catalogue of sessions, with the plans of the minutes as they were sold."""
    text = resources.files("tollhouse.presets").joinpath("aigate.toml").read_text("utf-8")
    return text.replace("[plans.starter]", old_plans.lstrip() + "[plans.starter]", 1)
