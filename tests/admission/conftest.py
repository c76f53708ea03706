"""A house on both databases, and the story's world around it. The books are verified after every test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.admission.world import World, opened


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        yield world
        assert await world.books.findings() == []


@pytest.fixture
async def other(schema_url: str, world: World) -> AsyncIterator[World]:
    """Another process of the same installation: its own house, copies and clients."""
    async with opened(schema_url) as other:
        yield other
