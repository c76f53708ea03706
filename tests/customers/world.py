"""A database with the rooms' tables, a catalogue whose grant waits for a verified address, and the people of the stories."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from tollhouse.catalog.model import Action, Catalog, Grant, Meter, PlanVersion, Price, Product
from tollhouse.customers import actions
from tollhouse.customers.model import NewCustomer, SignedUp, SignUp
from tollhouse.identity.desk import IdentityDesk, open_desk
from tollhouse.identity.model import Visitor
from tollhouse.identity.passwords import Passwords
from tollhouse.ledger.book import read_state
from tollhouse.ledger.model import State
from tollhouse.store import Sql, open_store
from tollhouse.store.opening import AnyStore

SECRET = "a-secret-for-tests-of-more-than-32-bytes"
URL = "http://127.0.0.1:8787"
PASSWORD = "quatre mots bien choisis"
HOME = Visitor("203.0.113.7", "Firefox")

METERS = {
    meter.name: meter
    for meter in (
        Meter("credits", "credits", decimals=3),
        Meter("requests", "rate", window_ms=60_000),
        Meter("projects", "count"),
    )
}
FREE = PlanVersion(
    "free", 1, "Free", 0, limits={"requests": 30, "projects": 1}, prices=(),
    grants=(Grant("credits", 100_000, verified_only=True),),
)  # fmt: skip
STARTER = PlanVersion(
    "starter", 1, "Starter", 1, limits={"requests": 120, "projects": 3}, grants=(Grant("credits", 1_000_000),),
    prices=(Price(900, "usd", "month", "tollhouse_starter_month_usd"),),
)  # fmt: skip
CATALOG = Catalog(
    Product("AURION", default_locale="fr"),
    METERS,
    {"realtime_session": Action("realtime_session", {"credits": 1_000, "requests": 1})},
    {},
    {"free": FREE, "starter": STARTER},
    "free",
)


def quick_desk() -> IdentityDesk:
    """A desk whose password hashes cost next to nothing."""
    return open_desk(SECRET, URL, "AURION", Passwords(memory_kib=8, passes=1, parallelism=1))


@dataclass
class World:
    """One store with a desk and a catalogue, and the moment at which the story stands (ms)."""

    store: AnyStore
    desk: IdentityDesk
    catalog: Catalog
    now: int

    async def sign_up(self, email: str, password: str = PASSWORD, name: str = "Ada") -> SignedUp:
        """Somebody signs up on the pages."""
        form = SignUp(email, name)
        return await actions.sign_up(self.store, self.desk, self.catalog, form, password, self.now, visitor=HOME)

    async def create(self, email: str, external_id: str | None = None) -> str:
        """The product's server makes or gets a customer; its id."""
        async with self.store.transaction() as tx:
            made = await actions.create_or_get(tx, self.catalog, NewCustomer(email, external_id, "Ada"), self.now)
        return made.customer

    async def mailed(self, template: str, to: str) -> list[str]:
        """The addresses in the e-mails of this template that went to `to`, the oldest first."""
        async with self.store.reading() as tx:
            rows = await tx.fetch(Sql("select payload from outbox where fact = 'mail.requested' order by id"))
        mails = [msgspec.json.decode(row["payload"]) for row in rows]
        return [mail["values"]["url"] for mail in mails if mail["template"] == template and mail["to"] == to]

    async def token(self, template: str, to: str) -> str:
        """The token in the newest of these e-mails."""
        found = re.search(r"[?&]token=([A-Za-z0-9_-]+)$", (await self.mailed(template, to))[-1])
        assert found is not None
        return found[1]

    async def state(self, customer: str) -> State:
        """The customer's account as it stands."""
        async with self.store.reading() as tx:
            return await read_state(tx, self.catalog, customer, self.now)

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        async with self.store.reading() as tx:
            row = await tx.fetch_one(Sql(f"select count(*) as n from {table}"))
        assert row is not None
        return int(row["n"])


@asynccontextmanager
async def opened(database_url: str, catalog: Catalog = CATALOG) -> AsyncIterator[World]:
    """A world on this database, closed at the end."""
    store = await open_store(database_url)
    desk = quick_desk()
    try:
        yield World(store, desk, catalog, store.clock.now_ms())
    finally:
        desk.passwords.close()
        await store.close()
