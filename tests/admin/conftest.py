"""Staff and customers of one product, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.customers.world import SECRET
from tests.web.street import Person, Street, opened
from tollhouse.identity.actions import set_staff_role


@pytest.fixture
async def aurion(schema_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    """The product that sells credits and launches tools."""
    async with opened(
        schema_url, "aurion", tmp_path, STRIPE_SECRET_KEY="sk_test_pages", ADMIN_API_KEY=SECRET[::-1]
    ) as street:
        yield street


@pytest.fixture
async def ada(aurion: Street) -> AsyncIterator[Person]:
    """Ada, a customer."""
    async with aurion.somebody() as ada:
        await ada.sign_up()
        yield ada


@pytest.fixture
async def grace(aurion: Street) -> AsyncIterator[Person]:
    """Grace, who works here."""
    async with aurion.somebody() as grace:
        await grace.sign_up("grace@example.com")
        async with aurion.house.store.transaction() as tx:
            await set_staff_role(tx, "grace@example.com", "admin", aurion.house.store.clock.now_ms())
        yield grace
