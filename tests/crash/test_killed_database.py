"""PostgreSQL is killed under load and comes back: serving goes on by itself, nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.crash.load import Load, compare_with_the_books
from tests.support.books import books_of
from tests.support.calling import Api
from tests.support.databases import new_postgres
from tests.support.postgres import PostgresServer
from tests.support.product import TOML, catalog_of
from tests.support.serving import make_secret_key, running_server

KILLS = 3


@pytest.fixture
def url(killable_postgres: PostgresServer) -> str:
    return new_postgres(killable_postgres)


async def test_the_database_dies_under_load_and_nothing_is_lost(
    killable_postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    key = await asyncio.to_thread(make_secret_key, url)
    with running_server(url, TOML, tmp_path / "serve", secret_key=key) as server:
        async with Api(server.url, key) as api, books_of(url, catalog_of(TOML)) as books:
            load = Load(api, seed=1)
            await load.prepare()
            async with load.running():
                for _ in range(KILLS):
                    await load.some_answers(50)
                    await asyncio.to_thread(killable_postgres.kill)
                    await asyncio.sleep(0.3)
                    await asyncio.to_thread(killable_postgres.restart)
                await load.some_answers(50)
            await compare_with_the_books(load, books)
        assert server.process.poll() is None
