"""An open house, called as clients call it: over HTTP, in this process. Time goes on when the story says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import msgspec
from litestar.types import ControllerRouterHandler

from tests.support.books import Books
from tests.support.product import TOML, configuration_of
from tollhouse.admission.lapsing import sweep
from tollhouse.api import decisions, runbooks
from tollhouse.api.app import build_app
from tollhouse.api.customers import customer_routes
from tollhouse.api.deciding import hot_routes
from tollhouse.bootstrap import open_house
from tollhouse.customers import keys
from tollhouse.house import House
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.book import read_state
from tollhouse.ledger.model import Entry, Standing, State
from tollhouse.ledger.plan_lots import Payment
from tollhouse.store import Sql

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class World:
    """One house, one client with its secret key, and the customers of the story."""

    def __init__(self, house: House, client: httpx.AsyncClient) -> None:
        self.house = house
        self.books = Books(house.store, house.catalog)
        self._client = client

    async def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        return await self._client.post(path, content=_encode({} if body is None else body), headers=headers)

    async def ask(self, path: str, body: object = None, status: int = 200) -> Any:
        """POST and expect this status; the decoded answer."""
        answer = await self.post(path, body)
        assert answer.status_code == status, answer.text
        return _decode(answer.content)

    async def get(self, path: str, status: int = 200) -> Any:
        """GET and expect this status; the decoded answer."""
        answer = await self._client.get(path)
        assert answer.status_code == status, answer.text
        return _decode(answer.content)

    async def customer(self, name: str = "ada", plan: str = "free") -> str:
        """A customer on this plan; its id."""
        made = await self._client.post("/v1/customers", json={"email": f"{name}@example.com", "external_id": name})
        assert made.status_code == 201, made.text
        customer: str = made.json()["id"]
        if plan != "free":
            await self.subscribe(customer, plan)
        return customer

    async def admit(self, customer: str, action: str, key: str | None = None, **more: object) -> Any:
        """`POST /v1/admit`, answered with 200; the answer."""
        body = {"customer": customer, "action": action, **more}
        return await self.ask("/v1/admit", body if key is None else {**body, "key": key})

    async def hold(self, customer: str, action: str, key: str | None = None, **more: object) -> Any:
        """`POST /v1/holds`, answered with 200; the answer."""
        body = {"customer": customer, "action": action, **more}
        return await self.ask("/v1/holds", body if key is None else {**body, "key": key})

    async def grant(self, customer: str, amount: object, key: str, meter: str = "credits", **more: object) -> Any:
        """A top-up through the API."""
        body = {"meter": meter, "amount": amount, "key": key, "reason": "top-up", **more}
        return await self.ask(f"/v1/customers/{customer}/grants", body)

    async def meters(self, customer: str) -> Any:
        """Every meter as the customer sees it now."""
        return (await self.get(f"/v1/customers/{customer}"))["meters"]

    async def left(self, customer: str, meter: str = "credits") -> Any:
        """What is left on a meter."""
        return (await self.meters(customer))[meter]["remaining"]

    async def subscribe(
        self, customer: str, plan: str, *, standing: Standing = "good", ends_at: int | None = None,
        anchor: int | None = None,
    ) -> None:  # fmt: skip
        """What billing does when the subscription says so."""
        async with self.house.store.transaction() as tx:
            await ledger.set_subscription(
                tx, self.house.catalog, customer, self.house.catalog.plans[plan], self.now,
                anchor=anchor, ends_at=ends_at, standing=standing,
            )  # fmt: skip

    async def pay(self, customer: str, plan: str, invoice: str, days: int = 30) -> None:
        """What billing does when an invoice was paid: the plan's lots for a period from now."""
        async with self.house.store.transaction() as tx:
            await ledger.grant_paid_period(
                tx, self.house.catalog, customer, self.house.catalog.plans[plan],
                Payment(self.now, self.now + days * 86_400_000, "bought", "plan_upgraded"), self.now,
                invoice_key=invoice, paid=None,
            )  # fmt: skip

    @property
    def now(self) -> int:
        """The database's clock (ms)."""
        return self.house.store.clock.now_ms()

    def later(self, seconds: float) -> None:
        """Time goes on."""
        self.house.store.clock.test_offset_ms += round(seconds * 1000)

    async def state(self, customer: str) -> State:
        """The account as it stands now."""
        async with self.house.store.reading() as tx:
            return await read_state(tx, self.house.catalog, customer, self.now)

    async def entries(self, customer: str, kind: str | None = None) -> list[Entry]:
        """The customer's book, the oldest first; of one kind when named."""
        return [entry for entry in await self.books.entries(customer) if kind in (None, entry.kind)]

    async def rows(self, statement: str, **parameters: str | int) -> list[Mapping[str, Any]]:
        """What a SELECT says."""
        async with self.house.store.reading() as tx:
            return [{name: row[name] for name in row.keys()} for row in await tx.fetch(Sql(statement), **parameters)]  # noqa: SIM118

    async def sweep(self) -> list[str]:
        """One round of the background work that lets slots and holds lapse; the customers that it changed."""
        return await sweep(self.house.store, self.house.catalog)


@asynccontextmanager
async def opened(database_url: str, toml: str = TOML, **environ: str) -> AsyncIterator[World]:
    """A house on this database, drained and closed at the end."""
    async with open_house(configuration_of(database_url, toml, **environ)) as house:
        async with house.store.transaction() as tx:
            key = await keys.create_secret_key(tx, "tests", house.store.clock.now_ms())
        await house.keys.refresh()
        routes: list[ControllerRouterHandler] = [*hot_routes(house), decisions.routes(house), customer_routes(house)]
        app = build_app(house, [*routes, runbooks.validate_tool_access, runbooks.billing_usage])
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://tollhouse.test",
            headers={"authorization": f"Bearer {key.key}", "content-type": "application/json"},
        ) as client:  # fmt: skip
            yield World(house, client)
