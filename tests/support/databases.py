"""Databases with the schema that `tollhouse db upgrade` makes: upgraded once, then copied."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.postgres import Postgres, PostgresServer
from tollhouse.store import schema

_templates: dict[str, str] = {}
_sqlite_template: list[bytes] = []


def new_sqlite(directory: Path, name: str = "tollhouse.db") -> str:
    """The URL of a new SQLite database in this directory."""
    if not _sqlite_template:
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch, "template.db")
            schema.upgrade(f"sqlite:///{made}")
            connection = sqlite3.connect(made)
            connection.execute("pragma wal_checkpoint(truncate)")
            connection.close()
            _sqlite_template.append(made.read_bytes())
    path = directory / name
    path.write_bytes(_sqlite_template[0])
    return f"sqlite:///{path}"


def new_postgres(server: Postgres) -> str:
    """The URL of a new database on this server; drop it when the test is over."""
    template = _templates.get(server.url)
    if template is None:
        template = server.new_database()
        schema.upgrade(template)
        _templates[server.url] = template
    return server.new_database(template)


@contextmanager
def fresh(request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    """The URL of a new database, on SQLite or PostgreSQL as the fixture's parameter says."""
    if request.param == "sqlite":
        yield new_sqlite(directory)
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = new_postgres(server)
    yield url
    let_go(server, url)


def let_go(server: Postgres, url: str) -> None:
    """The test is over. On a server of our own the database goes with the server: dropping it costs a checkpoint."""
    if not isinstance(server, PostgresServer):
        server.drop_database(url)
