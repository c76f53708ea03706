"""The streets of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.web.street import Person, Street, databases, opened


@pytest.fixture(params=["sqlite", "postgres"])
def upgraded_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the tables of `tollhouse db upgrade`."""
    yield from databases(request, tmp_path)


@pytest.fixture
async def aurion(upgraded_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    """The product that sells credits and launches tools."""
    async with opened(upgraded_url, "aurion", tmp_path) as street:
        yield street


@pytest.fixture
async def aigate(upgraded_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    """The product that sells sessions."""
    async with opened(upgraded_url, "aigate", tmp_path) as street:
        yield street


@pytest.fixture
async def ada(aurion: Street) -> AsyncIterator[Person]:
    """Ada, who has signed up with AURION."""
    async with aurion.somebody() as ada:
        await ada.sign_up()
        yield ada
