"""A serving process for each database, which the tests of the HTTP contract call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.world import CATALOGUE
from tests.support.databases import fresh
from tests.support.serving import RunningServer, running_server


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`tollhouse serve` on the catalogue with every kind of meter, for all tests of a module."""
    directory = tmp_path_factory.mktemp("served")
    with fresh(request, directory) as url, running_server(url, CATALOGUE, directory) as served:
        yield served
