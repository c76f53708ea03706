"""A database with two customers who have lived through everything that an account can."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.ledger.lives import ADA, BEN, Town, live
from tollhouse.admission.desk import Admission
from tollhouse.store import open_store


@pytest.fixture
async def town(schema_url: str) -> AsyncIterator[Town]:
    """Ada and Ben, and the desk that serves them."""
    store = await open_store(schema_url)
    try:
        town = Town(store, lambda catalog: Admission(store, catalog, lanes=1, cache_size=1_000))
        for customer in (ADA, BEN):
            await live(town, customer)
        yield town
        await town.desk.close()
    finally:
        await store.close()
