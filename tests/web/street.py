"""The product without a browser: its application in this process, and people who fill in its forms."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from tests.customers.world import SECRET, quick_desk
from tollhouse.bootstrap import build_application, open_house
from tollhouse.catalog import load_configuration
from tollhouse.customers.actions import customer_of_user
from tollhouse.house import House
from tollhouse.identity.actions import find_user
from tollhouse.ledger.book import plan_of, read_state
from tollhouse.ledger.views import MeterView, all_meters
from tollhouse.store import Sql

ORIGIN = "http://127.0.0.1:8787"
PASSWORD = "quatre mots bien choisis"
_FORM = re.compile(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', re.S)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_MAIL = Sql("select payload from outbox order by id")


@dataclasses.dataclass
class Street:
    """One product, and the doors to it."""

    house: House
    app: Any

    @asynccontextmanager
    async def somebody(self, language: str = "en") -> AsyncIterator[Person]:
        """A new browser."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=("203.0.113.7", 5000))
        headers = {"Accept": "text/html", "Accept-Language": language}
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
            yield Person(self, client)

    async def customer(self, email: str) -> str:
        """The customer that the user with this address owns."""
        async with self.house.store.reading() as tx:
            user = await find_user(tx, email)
            assert user is not None
            customer = await customer_of_user(tx, user.id)
        assert customer is not None
        return customer

    async def meter(self, customer: str, name: str) -> MeterView:
        """A meter of the customer, as it stands in the database."""
        async with self.house.store.reading() as tx:
            state = await read_state(tx, self.house.catalog, customer, self.house.store.clock.now_ms())
        plan = plan_of(self.house.catalog, state)
        return all_meters(state, plan, self.house.catalog, self.house.store.clock.now_ms())[name]

    async def mails(self) -> list[dict[str, Any]]:
        """Every e-mail that was asked for, the oldest first."""
        async with self.house.store.reading() as tx:
            rows = await tx.fetch(_MAIL)
        facts = [json.loads(row["payload"]) for row in rows]
        return [fact for fact in facts if fact.get("fact") == "mail.requested"]

    async def link(self, template: str) -> str:
        """The path of the link in the newest e-mail of this kind."""
        mails = [mail for mail in await self.mails() if mail["template"] == template]
        return str(mails[-1]["values"]["url"]).removeprefix(ORIGIN)


@dataclasses.dataclass
class Person:
    """Somebody with a browser of their own."""

    street: Street
    client: httpx.AsyncClient

    async def open(self, path: str) -> httpx.Response:
        """Open a page, without following where it sends."""
        return await self.client.get(path)

    async def submit(self, path: str, action: str, **fields: str) -> httpx.Response:
        """Open a page, fill in the form that goes to `action`, send it."""
        page = await self.open(path)
        return await self.client.post(action, data=hidden_fields(page.text, action) | fields)

    async def sign_up(self, email: str = "ada@example.com", path: str = "/signup") -> httpx.Response:
        """Sign up by the form."""
        return await self.submit(path, "/signup", name="Ada Lovelace", email=email, password=PASSWORD)


def hidden_fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form on this page that goes to `action`."""
    for target, body in _FORM.findall(page):
        if html.unescape(target) == action:
            return {name: html.unescape(value) for name, value in _HIDDEN.findall(body)}
    raise AssertionError(f"the page has no form for {action}")


@asynccontextmanager
async def opened(
    database_url: str, preset: str, directory: Path, change: Callable[[str], str] = str, **environ: str
) -> AsyncIterator[Street]:
    """A product made from a shipped preset, its text changed where that is asked for, on a database of its own."""
    toml = directory / "tollhouse.toml"
    toml.write_text(change(files("tollhouse.presets").joinpath(f"{preset}.toml").read_text("utf-8")))
    settings = {"ENVIRONMENT": "test", "SESSION_SECRET": SECRET, "DATABASE_URL": database_url, **environ}
    configuration = load_configuration(toml, settings)
    async with open_house(configuration) as built:
        house = dataclasses.replace(built, identity=quick_desk())
        yield Street(house, build_application(house))
