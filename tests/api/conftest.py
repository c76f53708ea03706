"""The product of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.world import Api, served
from tollhouse.store import schema


@pytest.fixture
def upgraded_url(database_url: str) -> str:
    """A database with its tables."""
    schema.upgrade(database_url)
    return database_url


@pytest.fixture
async def api(upgraded_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with served(tmp_path, upgraded_url) as api:
        yield api
