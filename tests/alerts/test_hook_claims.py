"""Two at the same webhook: a lease that lapsed, an endpoint that goes while events are spread; and what a log may show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.alerts.hooked import LOCAL, World, opened, receiver
from tollhouse.alerts.hooks import actions
from tollhouse.alerts.hooks.delivering import LEASE_MS, Deliverer
from tollhouse.alerts.hooks.sending import Sender
from tollhouse.store import Sql


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        yield world


@pytest.mark.parametrize("status", [200, 500])
async def test_whose_lease_has_lapsed_marks_nothing_that_another_has_taken(world: World, status: int) -> None:
    other = Deliverer(world.store, world.vault, Sender(LOCAL), lambda: 0.0)
    async with receiver() as shop:
        endpoint, _ = await world.add(shop.url)
        await world.happen()
        await world.spread()
        taken = []

        async def late(request: web.Request, body: bytes) -> web.StreamResponse:
            world.later(LEASE_MS + 1)
            taken.append(await other._claim(endpoint.id, None))
            return web.Response(status=status)

        shop.answers = late
        await world.deliver()
        (found,) = await world.deliveries(endpoint)
        assert (found.status, found.attempts, found.error) == ("waiting", 0, None)
        shop.answers = None
        (first, *_) = taken
        jobs, claim_id = first
        await other._send_all(endpoint.id, jobs, claim_id)
        (found,) = await world.deliveries(endpoint)
        assert (found.status, found.attempts) == ("delivered", 1)
    await other.close()


async def test_an_endpoint_that_is_disabled_while_events_are_spread_gets_nothing_that_waits(world: World) -> None:
    endpoint, _ = await world.add("http://127.0.0.1:9/hooks")
    await world.happen()
    async with world.store.transaction() as tx:
        await actions.disable_endpoint(tx, endpoint.id, "by hand", world.now)
        spreading = asyncio.create_task(world.spread())
        await asyncio.sleep(0.5)
    await spreading
    (found,) = await world.deliveries(endpoint)
    assert (found.status, found.error) == ("failed", "the endpoint was disabled")


async def test_an_endpoint_that_is_removed_while_events_are_spread_leaves_nothing_behind(world: World) -> None:
    endpoint, _ = await world.add("http://127.0.0.1:9/hooks")
    other, _ = await world.add("http://127.0.0.1:9/other")
    await world.happen()
    async with world.store.transaction() as tx:
        await actions.remove_endpoint(tx, endpoint.id)
        spreading = asyncio.create_task(world.spread())
        await asyncio.sleep(0.5)
    await spreading
    async with world.store.reading() as tx:
        rows = await tx.fetch(Sql("select endpoint, status from hook_delivery"))
    assert [(row["endpoint"], row["status"]) for row in rows] == [(other.id, "waiting")]


async def test_a_new_secret_stands_in_no_log(world: World) -> None:
    async with world.store.transaction() as tx:
        added = await actions.add_endpoint(
            tx,
            world.vault,
            LOCAL,
            "http://127.0.0.1:9/hooks",
            events=(),
            description="",
            by_whom="tests",
            now=world.now,
        )
    assert added.secret not in repr(added)
    assert added.endpoint.id in repr(added)
