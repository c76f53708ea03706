"""One store, one catalogue, the sandbox as Stripe, and what happens between them at the story's own pace."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.quick import open_quick_store
from tollhouse.billing import actions
from tollhouse.billing.intake import receive
from tollhouse.billing.stripe import StripeGateway, read_event
from tollhouse.billing.syncing import Syncer, look_again_due
from tollhouse.catalog.model import Catalog, Grant, Meter, PlanVersion, Price, Product
from tollhouse.customers.actions import create_or_get
from tollhouse.customers.model import NewCustomer
from tollhouse.kernel.clock import MINUTE
from tollhouse.ledger.actions import read_book
from tollhouse.ledger.book import read_state
from tollhouse.ledger.model import Entry, State
from tollhouse.store import Sql, open_store
from tollhouse.store.opening import AnyStore
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running

KEY = "sk_test_billing"
URL = "http://127.0.0.1:8787"
PAYS = "4242424242424242"
DECLINES = "4000000000000002"
FAILS_LATER = "4000000000000341"

METERS = {
    meter.name: meter
    for meter in (
        Meter("credits", "credits", decimals=3),
        Meter("sessions", "quota", period="month"),
        Meter("projects", "count"),
    )
}


def _plan(name: str, rank: int, credits: int, sessions: int, *prices: Price, **more: Any) -> PlanVersion:
    return PlanVersion(
        name, 1, name.title(), rank, limits={"sessions": sessions, "projects": 1 + rank}, prices=prices,
        grants=(Grant("credits", credits * 1000),), **more,
    )  # fmt: skip


def _price(plan: str, amount: int, every: Any = "month", currency: str = "usd") -> Price:
    return Price(amount, currency, every, f"tollhouse_{plan}_{every}_{currency}")


PLANS = (
    _plan("free", 0, 100, 10),
    _plan("starter", 1, 1_000, 100, _price("starter", 900)),
    _plan("premium", 2, 500, 200, _price("premium", 400, currency="eur"), _price("premium", 3000, "year", "eur")),
    _plan("pro", 3, 15_000, 1_000, _price("pro", 9_900)),
    _plan("vast", 4, 100_000, 10_000, contact_only=True),
)
CATALOG = Catalog(Product("AURION", default_locale="fr"), METERS, {}, {}, {plan.plan: plan for plan in PLANS}, "free")


@dataclass
class World:
    """Our side and Stripe's. Events wait in the sandbox until a story fetches and delivers them."""

    store: AnyStore
    gateway: StripeGateway
    sandbox_url: str
    catalog: Catalog = CATALOG
    newest: str = ""  # of the events that have been fetched

    @property
    def till(self) -> actions.Till:
        return actions.Till(self.store, self.catalog, self.gateway, URL, 100, 15 * MINUTE)

    @property
    def syncer(self) -> Syncer:
        return Syncer(self.store, self.catalog, self.gateway)

    async def customer(self, email: str = "ada@example.com") -> str:
        """A customer made by the product's server, on the free plan."""
        async with self.store.transaction() as tx:
            new = NewCustomer(email, None, "Ada")
            return (await create_or_get(tx, self.catalog, new, self.store.clock.now_ms())).customer

    async def payer(self, customer: str) -> actions.Payer:
        """Who pays for this customer."""
        async with self.store.reading() as tx:
            return await actions.payer_of(tx, customer)

    async def buy(self, customer: str, plan: str, card: str = PAYS, interval: str | None = None) -> str:
        """Open Checkout and type a card; where the browser is sent, or the page when it stays."""
        return await self.submit(
            await actions.start_checkout(self.till, await self.payer(customer), plan, interval), card
        )

    async def submit(self, page: str, card: str, **more: str) -> str:
        """Type a card on a Checkout page; where the browser is sent, or the page when it stays."""
        typed = {"email": "ada@example.com", "number": card, "expiry": "12 / 40", "cvc": "123", "name": "Ada"}
        return await asyncio.to_thread(_submit, page, typed | more)

    async def control(self, path: str, **body: object) -> Any:
        """One of the sandbox's own controls."""
        return await asyncio.to_thread(_json, f"{self.sandbox_url}/_sandbox/{path}", body)

    async def stripe(self, method: str, path: str, **params: object) -> Any:
        """The merchant does something in Stripe's own API."""
        return json.loads((await self.gateway._connected().raw_request_async(method, path, **params)).headers.body)

    async def pass_days(self, days: int) -> None:
        """Time goes by, here and at Stripe."""
        await self.pass_seconds(days * 86_400)

    async def pass_seconds(self, seconds: int) -> None:
        await self.control("clock/advance", seconds=seconds)
        self.store.clock.test_offset_ms += seconds * 1000

    async def new_events(self) -> list[dict[str, Any]]:
        """What Stripe has emitted since this was asked last, the oldest first."""
        answer = await asyncio.to_thread(_json, f"{self.sandbox_url}/_sandbox/events?after={self.newest}", None)
        assert len(answer["data"]) == answer["total"], "more events than one answer holds"
        fresh: list[dict[str, Any]] = answer["data"][::-1]
        self.newest = fresh[-1]["id"] if fresh else self.newest
        return fresh

    async def receive(self, events: Iterable[dict[str, Any]]) -> None:
        """The events arrive, in this order; nothing is done about them yet."""
        for event in events:
            payload = json.dumps(event)
            await receive(self.store, [(read_event(payload), payload)], self.store.clock.now_ms())

    async def work(self) -> None:
        """A worker does all there is to do now."""
        while await look_again_due(self.store):
            pass
        while await self.syncer.work_once():
            pass

    async def catch_up(self) -> None:
        """Everything that Stripe has emitted arrives and is handled."""
        await self.receive(await self.new_events())
        await self.work()

    async def state(self, customer: str) -> State:
        async with self.store.reading() as tx:
            return await read_state(tx, self.catalog, customer, self.store.clock.now_ms())

    async def credits(self, customer: str) -> int:
        """Whole credits left to spend."""
        lots = (await self.state(customer)).lots.get("credits", ())
        return sum(lot.remaining for lot in lots) // 1000

    async def book(self, customer: str) -> list[Entry]:
        """Its entries, the oldest first."""
        async with self.store.reading() as tx:
            return (await read_book(tx, customer, None, 1000))[::-1]

    async def facts(self, name: str) -> list[dict[str, Any]]:
        """The payloads of this kind of fact in the outbox."""
        async with self.store.reading() as tx:
            rows = await tx.fetch(Sql("select payload from outbox where fact = :fact order by id"), fact=name)
        return [json.loads(row["payload"]) for row in rows]

    async def events_by_status(self) -> dict[str, int]:
        async with self.store.reading() as tx:
            rows = await tx.fetch(Sql("select status, count(*) as number from inbox group by status"))
        return {row["status"]: row["number"] for row in rows}

    async def end_state(self, customer: str) -> dict[str, Any]:
        """What must be the same whatever way led to it: no ids, no times of our own."""
        state = await self.state(customer)
        async with self.store.reading() as tx:
            subscription = await actions.subscription_of(tx, customer)
            invoices = await actions.invoices_of(tx, customer)
        return {
            "plan": (state.plan, state.plan_version, state.standing, state.ends_at),
            "lots": sorted(
                (lot.amount, lot.used, lot.source, lot.since, lot.until, lot.expires_at)
                for lot in state.lots.get("credits", ())
            ),
            "sessions": (state.quotas["sessions"].used, state.quotas["sessions"].end),
            "subscription": subscription,
            "invoices": sorted((invoice.id, invoice.status, invoice.paid) for invoice in invoices),
        }


@asynccontextmanager
async def opened(database_url: str, catalog: Catalog = CATALOG, *, quick: bool = False) -> AsyncIterator[World]:
    """A world on this database (its tables made), with every price of the catalogue in the sandbox.

    A `quick` one, for stories that are lived by the thousand, has SQLite at once in this thread and never on the disk.
    """
    store = await (open_quick_store if quick else open_store)(database_url)
    async with running(Config(port=0, smtp_port=None)) as sandbox:
        gateway = StripeGateway(KEY, api_base=sandbox.url)
        try:
            await actions.ensure_prices(store, gateway, catalog)
            world = World(store, gateway, sandbox.url, catalog)
            await world.new_events()
            yield world
        finally:
            await gateway.close()
            await store.close()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        return None


def _submit(page: str, typed: dict[str, str]) -> str:
    opener = urllib.request.build_opener(_Stay)
    try:
        answer = opener.open(page, urllib.parse.urlencode(typed).encode())
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        location: str | None = answer.headers.get("location")
        return location or str(answer.read(), "utf-8")


def _json(url: str, body: dict[str, object] | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
