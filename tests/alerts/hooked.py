"""An installation that sends webhooks, and receivers that verify them with the official library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, tzinfo
from typing import Any

import msgspec
import pytest
import standardwebhooks.webhooks
from aiohttp import web
from standardwebhooks import Webhook

from tests.support.serving import SESSION_SECRET
from tollhouse.alerts.hooks import actions
from tollhouse.alerts.hooks.addresses import Reach
from tollhouse.alerts.hooks.delivering import Deliverer
from tollhouse.alerts.hooks.model import Delivery, Endpoint
from tollhouse.alerts.hooks.sending import Sender
from tollhouse.alerts.hooks.vault import Vault
from tollhouse.kernel.facts import CustomerCreated, Fact
from tollhouse.store import Sql, open_store, outbox
from tollhouse.store.opening import AnyStore
from tollhouse.store.outbox import Outgoing
from tollhouse.worker.delivering import spread_once

LOCAL = Reach(plain_http=True, private=True)
Answers = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


class Received(msgspec.Struct, frozen=True):
    """One POST as it arrived."""

    id: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The decoded body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """A product's own server. It answers with `status`, or as `answers` says; with a secret it verifies what arrives."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self.status = 200
        self.answers: Answers | None = None
        self.received: list[Received] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers.get("webhook-id", ""), headers, body))
        if self.secret:
            Webhook(self.secret).verify(body, headers)  # raises, and answers 500 in another way than `status`
        return await self.answers(request, body) if self.answers else web.Response(status=self.status, text="thanks")

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.received]

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.received]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Every body, verified by the official library. Raises WebhookVerificationError."""
        return [Webhook(secret).verify(one.body, one.headers) for one in self.received]


@asynccontextmanager
async def receiver(handler_cancellation: bool = False) -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    found = Receiver()
    application = web.Application(client_max_size=2**20)
    application.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(application, handler_cancellation=handler_cancellation, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    try:
        yield found
    finally:
        await runner.cleanup()


class World:
    """A store with endpoints, and the worker's part in this process."""

    def __init__(self, store: AnyStore, sender: Sender) -> None:
        self.store = store
        self.vault = Vault(SESSION_SECRET)
        self.deliverer = Deliverer(store, self.vault, sender, lambda: 0.0)
        self.spread_to = asyncio.Event()

    @property
    def now(self) -> int:
        return self.store.clock.now_ms()

    def later(self, milliseconds: int) -> None:
        """Time goes on."""
        self.store.clock.test_offset_ms += milliseconds

    async def add(self, url: str, *events: str) -> tuple[Endpoint, str]:
        """An endpoint and its secret."""
        async with self.store.transaction() as tx:
            added = await actions.add_endpoint(
                tx, self.vault, LOCAL, url, events=events, description="", by_whom="tests", now=self.now
            )
        return added.endpoint, added.secret

    async def happen(self, *facts: Fact, customer: str | None = None) -> list[str]:
        """Facts become true; their ids."""
        async with self.store.transaction() as tx:
            return [await outbox.put(tx, fact, customer=customer, now=self.now) for fact in facts or (created(),)]

    async def spread(self) -> None:
        """The worker spreads what happened."""
        while await spread_once(self.store, nothing, self.spread_to):
            pass

    async def deliver(self) -> None:
        """The worker sends all that is due."""
        await self.deliverer.round()
        await self.deliverer.idle()

    async def work(self) -> None:
        await self.spread()
        await self.deliver()

    async def deliveries(self, endpoint: Endpoint, status: str | None = None) -> list[Delivery]:
        async with self.store.reading() as tx:
            return await actions.list_deliveries(tx, endpoint.id, status=status, most=20_000)

    async def endpoint(self, endpoint: Endpoint) -> Endpoint:
        async with self.store.reading() as tx:
            return await actions.read_endpoint(tx, endpoint.id)

    async def alerts(self) -> list[dict[str, Any]]:
        """What staff are told."""
        async with self.store.reading() as tx:
            rows = await tx.fetch(Sql("select payload from outbox where fact = 'operator.alert' order by id"))
        return [json.loads(row["payload"]) for row in rows]


async def nothing(item: Outgoing) -> None:
    """What else the house does for an event."""


def created(customer: str = "cus_00000000000000000000000001") -> CustomerCreated:
    return CustomerCreated(customer, "api", "free")


@asynccontextmanager
async def opened(database_url: str, timeout_seconds: float = 5.0) -> AsyncIterator[World]:
    """A world on a database whose tables are made."""
    store = await open_store(database_url)
    world = World(store, Sender(LOCAL, timeout_seconds=timeout_seconds))
    try:
        yield world
    finally:
        await world.deliverer.close()
        await store.close()


def follow_clock(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """The official library refuses what is five minutes old: the receiver's clock goes on with ours."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Moved:
            return cls.fromtimestamp(world.now / 1000, tz)

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Moved)
