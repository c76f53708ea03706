"""The product of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.api.world import Api, served
from tests.support.books import Books
from tests.support.databases import let_go, new_postgres, new_sqlite
from tests.support.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def upgraded_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with its tables."""
    if request.param == "sqlite":
        yield new_sqlite(tmp_path)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    url = new_postgres(postgres)
    yield url
    let_go(postgres, url)


@pytest.fixture
async def api(upgraded_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The books are verified after every test."""
    async with served(tmp_path, upgraded_url) as api:
        yield api
        assert await Books(api.house.store, api.house.catalog).findings() == []


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Api]:
    """One store is enough for what asks no database."""
    async with served(tmp_path, new_sqlite(tmp_path)) as api:
        yield api
