"""The product that is measured: its catalogue, its customers, its configuration. The schema is the shipped one."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from tollhouse.catalog.actions import publish
from tollhouse.catalog.load import Configuration, load_configuration
from tollhouse.catalog.model import Catalog
from tollhouse.customers.keys import create_secret_key
from tollhouse.ledger.book import Book, encode, entry_row
from tollhouse.ledger.granting import NewLot, add_lot, open_state
from tollhouse.store import cell_of, open_store, schema
from tollhouse.store.opening import AnyStore

CUSTOMERS = 1_000
CATALOGUE = """
[product]
name = "Bench"

[meters]
credits  = { kind = "credits" }
sessions = { kind = "quota", period = "month" }
requests = { kind = "rate", per = "minute" }

[actions.launch]
cost = { credits = 1, sessions = 1, requests = 1 }

[plans.free]
free = true
credits = { credits = 1_000_000_000 }
limits = { sessions = 1_000_000_000, requests = 1_000_000_000 }

[plans.empty]
prices = [ { amount = 100, currency = "usd", every = "month" } ]
credits = { credits = 1 }
limits = { sessions = 1_000_000_000, requests = 1_000_000_000 }

[plans.paid]
prices = [ { amount = 900, currency = "usd", every = "month" } ]
credits = { credits = 1_000_000_000 }
limits = { sessions = 1_000_000_000, requests = 1_000_000_000 }
"""
SECRETS = {"SESSION_SECRET": secrets.token_urlsafe(32), "ENVIRONMENT": "test"}


class Bed(msgspec.Struct, frozen=True):
    """A database ready to be measured."""

    url: str
    key: str
    customers: tuple[str, ...]
    folder: Path


def customer_id(number: int) -> str:
    """An id of the usual form; base 32 contains the decimal digits."""
    return f"cus_{number:026d}"


def environment(url: str) -> dict[str, str]:
    """The variables that a server of the bench is started with."""
    return {**SECRETS, "DATABASE_URL": url}


def configuration(folder: Path, url: str) -> Configuration:
    """The bench's catalogue and settings; writes tollhouse.toml into the folder."""
    path = folder / "tollhouse.toml"
    path.write_text(CATALOGUE)
    return load_configuration(path, environment(url))


async def prepare(folder: Path, url: str, customers: int = CUSTOMERS, *, empty: bool = False) -> Bed:
    """Upgrade the schema, make the customers (two lots each; a single credit when `empty`) and a secret key."""
    await asyncio.to_thread(schema.upgrade, url)
    found = configuration(folder, url)
    store = await open_store(url)
    now = store.clock.now_ms()
    async with store.transaction() as tx:
        catalog = await publish(tx, found.catalog, now)
        key = await create_secret_key(tx, "bench", now)
    ids = tuple(customer_id(number) for number in range(customers))
    if customers > 10_000:
        await _copy_accounts(url, catalog, ids, now)
    else:
        await _open_accounts(store, catalog, ids, now, empty)
    await store.close()
    return Bed(url, key.key, ids, folder)


async def _open_accounts(store: AnyStore, catalog: Catalog, ids: Sequence[str], now: int, empty: bool) -> None:
    plan = catalog.plans["empty" if empty else "free"]
    async with store.transaction() as tx:
        for customer in ids:
            change = open_state(customer, plan, catalog, now, True)
            book = Book(customer, None, change.state, now)
            book.apply(change)
            if not empty:
                book.apply(add_lot(book.state, customer, NewLot("credits", 10**9, "topup"), now, "top_up"))
            await book.save(tx)


async def _copy_accounts(url: str, catalog: Catalog, ids: Sequence[str], now: int) -> None:
    """A million accounts by COPY, each with its opening entries."""
    accounts: list[tuple[Any, ...]] = []
    entries: list[tuple[Any, ...]] = []
    lots: list[tuple[Any, ...]] = []
    plan = catalog.plans["free"]
    for customer in ids:
        change = open_state(customer, plan, catalog, now, True)
        accounts.append((cell_of(customer), customer, "", 0, encode(change.state).decode(), change.state.next_due))
        entries += [tuple(entry_row(customer, entry).values()) for entry in change.entries]
        lots += [
            (cell_of(customer), customer, lot.id, meter, lot.amount, lot.source, now, lot.since)
            for lot, meter in change.made
        ]
    connection = await asyncpg.connect(url)
    await connection.copy_records_to_table("account", records=accounts)
    await connection.copy_records_to_table("entry", records=entries)
    named = ("cell", "customer", "id", "meter", "amount", "source", "granted_at", "since")
    await connection.copy_records_to_table("lot", records=lots, columns=named)
    await connection.execute("vacuum analyze")
    await connection.close()
