"""A house on both databases, and the story's world around it. The books are verified after every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.admission.world import World, opened
from tests.support.databases import let_go, new_postgres, new_sqlite


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with its schema: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield new_sqlite(tmp_path)
        return
    server = request.getfixturevalue("postgres")
    url = new_postgres(server)
    yield url
    let_go(server, url)


@pytest.fixture
async def world(migrated_url: str) -> AsyncIterator[World]:
    async with opened(migrated_url) as world:
        yield world
        assert await world.books.findings() == []


@pytest.fixture
async def other(migrated_url: str, world: World) -> AsyncIterator[World]:
    """Another process of the same installation: its own house, copies and clients."""
    async with opened(migrated_url) as other:
        yield other
