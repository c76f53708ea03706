"""The product of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.world import Api, served
from tests.support.books import Books
from tests.support.databases import new_sqlite


@pytest.fixture
async def api(schema_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The books are verified after every test."""
    async with served(tmp_path, schema_url) as api:
        yield api
        assert await Books(api.house.store, api.house.catalog).findings() == []


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Api]:
    """One store is enough for what asks no database."""
    async with served(tmp_path, new_sqlite(tmp_path)) as api:
        yield api
