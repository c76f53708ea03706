"""Fixtures that every room's tests share: the two databases. A skipped test is a failure where nobody would see it."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.databases import fresh, let_go
from tests.support.demo import Demo, running_demo
from tests.support.postgres import GIVEN_URL_VARIABLE, Postgres, PostgresServer, running_postgres
from tests.support.stripe_cli import NO_NODE, StripeCli, installed_stripe_cli


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run: the one in TOLLHOUSE_TEST_POSTGRES, or one of our own."""
    if given := os.environ.get(GIVEN_URL_VARIABLE):
        yield Postgres(given)
        return
    with running_postgres() as server:
        yield server


@pytest.fixture
def killable_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, to be killed and started again."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tollhouse.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.new_database()
    yield url
    let_go(server, url)


@pytest.fixture(params=["sqlite", "postgres"])
def schema_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with the tables that `tollhouse db upgrade` makes: once on SQLite and once on PostgreSQL."""
    with fresh(request, tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The AURION demo for the whole run: product and sandbox on free ports, people with history. Tests add, never reset."""
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="session")
def stripe_cli(tmp_path_factory: pytest.TempPathFactory) -> StripeCli:
    """The official Stripe CLI; the test is skipped where there is no Node.js to install it with."""
    return installed_stripe_cli(tmp_path_factory.mktemp("stripe-cli"))


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if reason.endswith(NO_NODE):
            return
        report.outcome = "failed"
        report.longrepr = f"{reason}\nNothing may be skipped here: install what the test needs, or delete the test."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true, a test that skips fails."""
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """With CI=true, a module that skips itself fails."""
    report = yield
    _forbid_skip(report)
    return report
