"""kill -9 of the serving process at random points under load: nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.load import Load, compare_with_the_books
from tests.support.books import Books, books_of
from tests.support.calling import Api
from tests.support.databases import fresh
from tests.support.product import TOML, catalog_of
from tests.support.serving import RunningServer, running_server

LONGEST_WAIT_SECONDS = 0.25


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    with fresh(request, tmp_path) as url, running_server(url, TOML, tmp_path / "serve") as running:
        yield running


@pytest.mark.timeout(900)
async def test_twenty_kills_under_load_lose_nothing_and_double_nothing(server: RunningServer) -> None:
    await survive(server, kills=20)


@pytest.mark.torture
async def test_a_hundred_kills_under_load_lose_nothing_and_double_nothing(server: RunningServer) -> None:
    await survive(server, kills=100)


async def survive(server: RunningServer, kills: int) -> None:
    """Kill the server so often with saves in flight, start it again each time, and compare."""
    chance = random.Random(kills)
    counted = saved_unanswered = 0
    async with (
        Api(server.url, server.secret_key) as api,
        books_of(server.database_url, catalog_of(TOML)) as books,
    ):
        load = Load(api, seed=kills)
        await load.prepare()
        async with load.running():
            for _ in range(3 * kills):
                await load.some_answers()
                await asyncio.sleep(chance.uniform(0, LONGEST_WAIT_SECONDS))
                hit, saved = await kill_once(server, load, books)
                counted += hit
                saved_unanswered += saved
                if counted >= kills and saved_unanswered:
                    break
        await compare_with_the_books(load, books)
    print(f"{counted} kills, {len(load.told)} allowed, {saved_unanswered} saved although nobody was told")
    assert counted >= kills
    assert saved_unanswered, "no kill came between a save and its answer: they prove less than they should"


async def kill_once(server: RunningServer, load: Load, books: Books) -> tuple[bool, int]:
    """One kill: whether saves were in flight, and how many of the requests that broke had been saved all the same."""
    load.up.clear()
    broken_before = len(load.unanswered)
    server.kill()
    await load.all_broken()
    broken = load.unanswered[broken_before:]
    kept = {**await books.answers("admit"), **await books.answers("hold"), **await books.answers("refund")}
    saved = sum(1 for request in broken if (request.customer, request.key) in kept)
    await asyncio.to_thread(server.restart)
    load.up.set()
    return bool(broken), saved
