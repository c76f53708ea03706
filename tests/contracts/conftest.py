"""A serving process for each database, which the tests of the HTTP contract call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.world import CATALOGUE
from tests.support.databases import let_go, new_postgres, new_sqlite
from tests.support.postgres import Postgres
from tests.support.serving import RunningServer, running_server


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`tollhouse serve` on the catalogue with every kind of meter, for all tests of a module."""
    directory = tmp_path_factory.mktemp("served")
    if request.param == "sqlite":
        with running_server(new_sqlite(directory), CATALOGUE, directory) as served:
            yield served
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    url = new_postgres(postgres)
    with running_server(url, CATALOGUE, directory) as served:
        yield served
    let_go(postgres, url)
