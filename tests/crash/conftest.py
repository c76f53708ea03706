"""PostgreSQL for crashes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import let_go, new_postgres
from tests.support.postgres import Postgres


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a PostgreSQL database with its schema."""
    url = new_postgres(postgres)
    yield url
    let_go(postgres, url)
