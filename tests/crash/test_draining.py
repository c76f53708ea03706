"""SIGTERM: who is waiting gets an answer, what was counted is written, and the process ends with status 0."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from tests.support.books import books_of
from tests.support.calling import Api
from tests.support.product import TOML, catalog_of
from tests.support.serving import make_secret_key, running_server
from tollhouse.store import Sql, cell_of


async def test_requests_that_wait_when_sigterm_comes_are_answered_before_the_process_ends(
    postgres_url: str, tmp_path: Path
) -> None:
    key = await asyncio.to_thread(make_secret_key, postgres_url)
    with running_server(postgres_url, TOML, tmp_path, secret_key=key) as server:
        async with Api(server.url, key) as api, books_of(postgres_url, catalog_of(TOML)) as books:
            ada = await api.customer("ada")
            assert not (await api.admit(ada, "render")).body["allowed"]
            connection = await asyncpg.connect(postgres_url)
            async with connection.transaction():
                await connection.execute(
                    "select 1 from account where cell = $1 and customer = $2 for update", cell_of(ada), ada
                )
                waiting = [asyncio.create_task(api.admit(ada, "spend", f"k{number}")) for number in range(10)]
                await asyncio.sleep(0.3)
                assert not any(task.done() for task in waiting)
                stopped = asyncio.create_task(asyncio.to_thread(server.stop))
                await asyncio.sleep(0.3)
                assert not stopped.done()
            await connection.close()
            answers = await asyncio.gather(*waiting)
            assert [answer.body["allowed"] for answer in answers] == [True] * 10
            assert await stopped == 0
            assert len(await books.admissions(ada)) == 10
            async with books.store.reading() as tx:
                row = await tx.fetch_one(Sql("select refused from refusal where customer = :customer"), customer=ada)
            assert row is not None
            assert row["refused"] == 1
            assert await books.findings() == []
