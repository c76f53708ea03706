"""The world of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.billing.world import World, make_schema, opened


@pytest.fixture
def schema_url(database_url: str) -> str:
    """A database with its tables."""
    make_schema(database_url)
    return database_url


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        yield world
