"""The streets of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.street import Person, Street, opened


@pytest.fixture
async def aurion(schema_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    """The product that sells credits and launches tools."""
    async with opened(schema_url, "aurion", tmp_path) as street:
        yield street


@pytest.fixture
async def aigate(schema_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    """The product that sells sessions."""
    async with opened(schema_url, "aigate", tmp_path) as street:
        yield street


@pytest.fixture
async def ada(aurion: Street) -> AsyncIterator[Person]:
    """Ada, who has signed up with AURION."""
    async with aurion.somebody() as ada:
        await ada.sign_up()
        yield ada
