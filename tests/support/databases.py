"""Databases with the schema that `tollhouse db upgrade` makes: upgraded once, copied, emptied and lent again.

A copy costs PostgreSQL 60 ms of processor time and 9 MB on disk, emptying one a few. What a test has left otherwise
than it found it (a table more, another function) is not lent again.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.support.postgres import Postgres, PostgresServer
from tollhouse.store import schema

SHAPE = """
    SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
        SELECT attrelid::regclass::text || attname || atttypid::text || attnotnull::text AS line FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT conname || convalidated::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT proname || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT tgname || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'
        UNION ALL SELECT setconfig::text FROM pg_db_role_setting
        UNION ALL SELECT version_num FROM alembic_version
    ) AS everything
"""
"""What a database looks like but for its rows."""
CUT_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
EMPTY = """
    DO $$ DECLARE name text; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
    END $$
"""
MOST_LENDINGS = 50  # deleted rows stay in the files until a vacuum comes

_templates: dict[str, str] = {}
_shapes: dict[str, str] = {}
_lendings: defaultdict[str, int] = defaultdict(int)
_spare: defaultdict[str, list[str]] = defaultdict(list)
_sqlite_template: list[bytes] = []


def new_sqlite(directory: Path, name: str = "tollhouse.db") -> str:
    """The URL of a new SQLite database in this directory, with the tables."""
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
    """The URL of an empty database on this server; `let_go` of it when the test is over."""
    if _spare[server.url]:
        return _spare[server.url].pop()
    template = _templates.get(server.url)
    if template is None:
        template = server.new_database()
        schema.upgrade(template)
        _templates[server.url] = template
        _shapes[server.url] = server.execute(SHAPE, at=template)
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
    """The test is over: the next one gets the database, empty.

    On a server of our own what is not lent again goes with the server: dropping it costs a checkpoint.
    """
    if not isinstance(server, PostgresServer):
        server.drop_database(url)
        return
    _lendings[url] += 1
    if _lendings[url] < MOST_LENDINGS and server.url in _shapes and _emptied(server, url):
        _spare[server.url].append(url)


def _emptied(server: PostgresServer, url: str) -> bool:
    """Whether the database is as a new one again; nobody is connected to it any more."""
    try:
        return bool(server.execute(CUT_OTHERS, EMPTY, SHAPE, at=url) == _shapes[server.url])
    except asyncpg.PostgresError:  # tables of the test's own, or none
        return False
