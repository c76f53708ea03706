"""The whole product as its users meet it: `tollhouse serve`, the sandbox as Stripe and mail, and a browser."""

from __future__ import annotations

import asyncio
import json
import secrets
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.support.postgres import free_port
from tests.support.serving import RunningServer, make_secret_key
from tollhouse.billing.actions import ensure_prices
from tollhouse.billing.stripe import StripeGateway
from tollhouse.catalog import load_catalog, publish
from tollhouse.store import open_store
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running_in_thread

STRIPE_KEY = "sk_test_journeys"
PASSWORD = "quatre mots bien choisis"
PAYS = "4242 4242 4242 4242"
DECLINES = "4000 0000 0000 0002"
EVENTS = (
    "checkout.session.completed", "customer.subscription.created", "customer.subscription.updated",
    "customer.subscription.deleted", "invoice.payment_succeeded", "invoice.payment_failed",
)  # fmt: skip


@dataclass
class Town:
    """Where everything is."""

    url: str
    sandbox: str
    database_url: str


@contextmanager
def standing(
    database_url: str, preset: str, directory: Path, events: tuple[str, ...] = EVENTS, more: str = ""
) -> Iterator[Town]:
    """Everything started and connected: prices in Stripe, its webhooks for these events sent here. `more` joins the preset."""
    directory.mkdir(parents=True, exist_ok=True)
    toml = files("tollhouse.presets").joinpath(f"{preset}.toml").read_text("utf-8") + more
    (directory / "tollhouse.toml").write_text(toml)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running_in_thread(Config(port=0, smtp_port=0)) as sandbox:
        endpoint = _ask(sandbox.url, "webhook_endpoints", url=f"{url}/webhooks/stripe", enabled_events=events)
        asyncio.run(_make_prices(database_url, directory / "tollhouse.toml", sandbox.url))
        server = RunningServer(
            database_url, toml, directory, secret_key=make_secret_key(database_url), port=port, prelude="",
            TOLLHOUSE_URL=url, STRIPE_SECRET_KEY=STRIPE_KEY, STRIPE_API_BASE=sandbox.url,
            STRIPE_WEBHOOK_SECRET=endpoint["secret"], SMTP_URL=f"smtp://127.0.0.1:{sandbox.smtp_port}",
            MAIL_FROM="Journeys <journeys@example.com>", STRIPE_RATE_LIMIT_MAX="100",
        )  # fmt: skip
        try:
            server.start()
            yield Town(url, sandbox.url, database_url)
        finally:
            server.kill()


async def _make_prices(database_url: str, toml: Path, sandbox: str) -> None:
    store = await open_store(database_url)
    gateway = StripeGateway(STRIPE_KEY, api_base=sandbox)
    try:
        async with store.transaction() as tx:
            catalog = await publish(tx, load_catalog(toml), store.clock.now_ms())
        await ensure_prices(store, gateway, catalog)
    finally:
        await gateway.close()
        await store.close()


def _ask(sandbox: str, path: str, **form: Any) -> dict[str, Any]:
    pairs = [(f"{name}[]", item) for name, value in form.items() if isinstance(value, tuple) for item in value]
    pairs += [(name, value) for name, value in form.items() if isinstance(value, str)]
    request = urllib.request.Request(
        f"{sandbox}/v1/{path}", urllib.parse.urlencode(pairs).encode(), {"Authorization": f"Bearer {STRIPE_KEY}"}
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


async def sign_up(town: Town, page: Page, name: str = "Ada Lovelace") -> str:
    """Somebody new signs up on the pages; their address."""
    email = f"ada.{secrets.token_hex(4)}@example.com"
    await page.goto(f"{town.url}/signup?lang=en")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign up").click()
    await page.wait_for_url(f"{town.url}/app")
    return email


async def credits_left(town: Town, page: Page) -> str:
    """The first figure of the usage page."""
    await page.goto(f"{town.url}/app")
    return (await page.locator("[data-meter=credits] .figure").inner_text()).strip()


async def pay(page: Page, card: str) -> None:
    """Fill in the Checkout page and send it."""
    await page.locator("#card-number").fill(card)
    await page.locator("#card-expiry").fill("12 / 34")
    await page.locator("#card-cvc").fill("123")
    await page.locator("#cardholder-name").fill("Ada Lovelace")
    await page.locator("#pay").click()
