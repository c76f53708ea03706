"""The world of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.customers.world import World, opened


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        yield world
