"""The whole product as it is served, on a small catalogue with every kind of meter, and those who call it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tollhouse.bootstrap import build_application, open_house
from tollhouse.catalog import load_configuration
from tollhouse.customers import actions as customers
from tollhouse.customers.keys import create_secret_key
from tollhouse.customers.model import SignedUp, SignUp
from tollhouse.house import House
from tollhouse.identity.model import Visitor

CATALOGUE = """\
[product]
name = "AI Gate"

[meters]
credits    = { kind = "credits", decimals = 3 }
sessions   = { kind = "quota", period = "month", minutes_each = 2 }
requests   = { kind = "rate", per = "minute" }
concurrent = { kind = "lease", ttl = "90s" }
projects   = { kind = "count" }

[actions.realtime_session]
cost = { sessions = 1, concurrent = 1 }
[actions.count_session]
cost = { sessions = 1 }
[actions.request]
cost = { requests = 1 }
[actions.one]
cost = { credits = 1 }
[actions.tokens]
cost = { credits = 0.5, requests = 1 }
priced_by = ["credits"]

[tools.app-builder]
title = "App Builder"
cost = { credits = 50, requests = 1 }

[plans.free]
credits = { credits = 100 }
limits = { sessions = 100, requests = 1000, concurrent = 1, projects = 1 }
[plans.starter]
prices = [{ amount = 900, currency = "usd", every = "month" }]
credits = { credits = 1000 }
limits = { sessions = 5000, requests = 10000, concurrent = 5, projects = 3 }
"""
ADDRESS = "http://127.0.0.1:8787"
PASSWORD = "quatre mots bien choisis"


@dataclass
class Api:
    """A client of the JSON entrance. `customer` is somebody new on the plan `free`, known to the product as `ada`."""

    house: House
    http: httpx.AsyncClient
    key: str
    customer: str = ""
    numbers: dict[str, int] = field(default_factory=dict)

    async def post(self, path: str, body: object = None, **headers: str) -> Any:
        """POST as the product's server; `headers` with underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, json=body, headers=self.bearer | named)

    async def get(self, path: str) -> Any:
        """GET as the product's server."""
        return await self.http.get(path, headers=self.bearer)

    async def admit(self, action: str, customer: str | None = None, **fields: object) -> Any:
        """The answer to an admission, decoded."""
        answer = await self.post("/v1/admit", {"customer": customer or self.customer, "action": action} | fields)
        return answer.json()

    async def meters(self, customer: str | None = None) -> Any:
        """Every meter of the customer."""
        return (await self.get(f"/v1/customers/{customer or self.customer}")).json()["meters"]

    async def entries(self, customer: str | None = None) -> list[Any]:
        """The customer's book, newest first (the first 100)."""
        return list((await self.get(f"/v1/customers/{customer or self.customer}/entries")).json()["entries"])

    async def sign_up(self, email: str) -> tuple[SignedUp, dict[str, str]]:
        """Somebody signs up on the pages; the headers with which their browser then calls."""
        house = self.house
        form = SignUp(email, "Grace")
        signed = await customers.sign_up(
            house.store, house.identity, house.catalog, form, PASSWORD, house.store.clock.now_ms(),
            visitor=Visitor("203.0.113.7", "Firefox"),
        )  # fmt: skip
        token = signed.session.token
        return signed, {"cookie": f"th_session={token}", "x-csrf-token": house.identity.seal.form_token(token)}

    @property
    def bearer(self) -> dict[str, str]:
        """What the product's server sends."""
        return {"authorization": f"Bearer {self.key}"}


@asynccontextmanager
async def served(directory: Path, database_url: str, text: str = CATALOGUE, **environ: str) -> AsyncIterator[Api]:
    """The product on an upgraded database, called in this process."""
    path = directory / "tollhouse.toml"
    path.write_text(text, "utf-8")
    base = {"DATABASE_URL": database_url, "SESSION_SECRET": secrets.token_urlsafe(48), "ENVIRONMENT": "test"}
    async with open_house(load_configuration(path, base | environ)) as house:
        async with house.store.transaction() as tx:
            key = (await create_secret_key(tx, "server", house.store.clock.now_ms())).key
        await house.keys.refresh()
        transport = httpx.ASGITransport(build_application(house), raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            api = Api(house, http, key)
            ada = {"external_id": "ada", "email": "ada@example.com", "name": "Ada"}
            api.customer = (await api.post("/v1/customers", ada)).json()["id"]
            yield api
