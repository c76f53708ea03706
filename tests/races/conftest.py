"""Serving processes that race: one on SQLite, one on PostgreSQL, two on PostgreSQL. Every test brings its own customers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.races.arena import TOML, Arena, Race, racing
from tests.support.databases import let_go, new_postgres, new_sqlite
from tests.support.serving import make_secret_key, running_server


@pytest.fixture(scope="session", params=["sqlite", "postgres", "two processes"])
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The servers, started once for all races on this database."""
    directory: Path = tmp_path_factory.mktemp("arena")
    if request.param == "sqlite":
        url, server = new_sqlite(directory), None
    else:
        server = request.getfixturevalue("postgres")
        url = new_postgres(server)
    processes = 2 if request.param == "two processes" else 1
    key = make_secret_key(url)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running_server(url, TOML, directory / str(number), secret_key=key))
            for number in range(processes)
        ]
        yield Arena(url, servers)
    if server is not None:
        let_go(server, url)


@pytest.fixture
async def race(arena: Arena) -> AsyncIterator[Race]:
    """Clients of every server, and the books that they share. The books are verified when the test is over."""
    async with racing(arena) as race:
        yield race
        assert await race.books.findings() == []
