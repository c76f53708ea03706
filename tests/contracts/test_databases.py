"""The servers that the tests start are the durable ones that the product is promised on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.support.postgres import PostgresServer, alive
from tests.support.tree import ROOT

OWNER = """
import signal
from tests.support.postgres import running_postgres

with running_postgres() as server:
    print(server.directory, flush=True)
    signal.pause()
"""


async def test_a_killed_server_comes_back_with_what_was_committed(killable_postgres: PostgresServer) -> None:
    url = killable_postgres.new_database()
    connection = await asyncpg.connect(url)
    assert [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")] == ["on", "on"]
    await connection.execute("CREATE TABLE kept (n int)")
    await connection.execute("INSERT INTO kept VALUES (41)")

    killable_postgres.kill()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await connection.execute("INSERT INTO kept VALUES (42)")
    killable_postgres.restart()

    connection = await asyncpg.connect(url)
    assert [row["n"] for row in await connection.fetch("SELECT n FROM kept")] == [41]
    await connection.close()


async def test_a_database_made_from_a_template_holds_its_tables(killable_postgres: PostgresServer) -> None:
    template = killable_postgres.new_database()
    connection = await asyncpg.connect(template)
    await connection.execute("CREATE TABLE plans (name text)")
    await connection.close()

    copy = killable_postgres.new_database(template=template)

    connection = await asyncpg.connect(copy)
    assert await connection.fetchval("SELECT count(*) FROM plans") == 0
    await connection.close()
    killable_postgres.drop_database(copy)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(copy)


def test_a_server_does_not_outlive_a_killed_owner() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    directory = Path(owner.stdout.readline().strip())
    server = int((directory / "data" / "postmaster.pid").read_text().split()[0])
    assert alive(server)

    owner.send_signal(signal.SIGKILL)
    owner.communicate()

    deadline = time.monotonic() + 20
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not directory.exists()
    assert not alive(server)
