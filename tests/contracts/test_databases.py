"""The servers that the tests start are the durable ones that the product is promised on."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.postgres import PostgresServer


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
