"""The world of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.billing.world import World, opened


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        yield world


@pytest.fixture
async def quick_world(schema_url: str) -> AsyncIterator[World]:
    """For stories that are lived again and again."""
    async with opened(schema_url, quick=True) as world:
        yield world
