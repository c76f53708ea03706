"""The server is killed after a webhook has gone out and before that is written down: it goes out again, never nowhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.alerts.hooked import LOCAL, created, receiver
from tests.support.product import TOML
from tests.support.serving import SESSION_SECRET, running_server
from tollhouse.alerts.hooks import actions
from tollhouse.alerts.hooks.delivering import LEASE_MS
from tollhouse.alerts.hooks.vault import Vault
from tollhouse.store import Sql, open_store, outbox, test_clock

EVENTS = 30
WAIT_SECONDS = 30.0
_WAITING = Sql("select count(*) as number from hook_delivery where status <> 'delivered'")


@pytest.mark.row("X6")
async def test_killed_between_sending_and_marking_it_sends_again_with_the_same_id_and_loses_nothing(
    schema_url: str, tmp_path: Path
) -> None:
    serving = await asyncio.to_thread(running_server, schema_url, TOML, tmp_path, TEST_CLOCK="true")
    server = await asyncio.to_thread(serving.__enter__)
    store = await open_store(schema_url)
    try:
        async with receiver() as shop:
            killed = asyncio.Event()

            async def kill_at_the_seventh(request: web.Request, body: bytes) -> web.StreamResponse:
                if len(shop.received) == 7 and not killed.is_set():
                    await asyncio.to_thread(server.kill)
                    killed.set()
                return web.Response(status=200)

            shop.answers = kill_at_the_seventh
            async with store.transaction() as tx:
                now = store.clock.now_ms()
                added = await actions.add_endpoint(
                    tx, Vault(SESSION_SECRET), LOCAL, shop.url, events=(), description="", by_whom="tests", now=now
                )
                ids = [await outbox.put(tx, created(), now=now) for _ in range(EVENTS)]
            await asyncio.wait_for(killed.wait(), WAIT_SECONDS)
            before = list(shop.ids)
            async with store.reading() as tx:
                (row,) = await tx.fetch(_WAITING)
            assert row["number"] == EVENTS, "what was sent is not yet written down"
            await test_clock.advance(store, LEASE_MS + 1)
            await asyncio.to_thread(server.start)
            for _ in range(int(WAIT_SECONDS * 20)):
                async with store.reading() as tx:
                    (row,) = await tx.fetch(_WAITING)
                if row["number"] == 0:
                    break
                await asyncio.sleep(0.05)
            counted = Counter(shop.ids)
            assert (row["number"], set(counted)) == (0, set(ids))
            assert {name: counted[name] for name in before} == dict.fromkeys(before, 2)
            assert max(counted.values()) == 2
            for one in shop.received[:7]:  # by the clock that had not been moved yet
                Webhook(added.secret).verify(one.body, one.headers)
            assert await asyncio.to_thread(server.stop) == 0
    finally:
        await store.close()
        await asyncio.to_thread(serving.__exit__, None, None, None)
