"""A backup is written while everybody goes on: also by a server that answers others from the same thread."""

from __future__ import annotations

import asyncio
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import Postgres
from tollhouse.store import Sql, copying, open_store, schema


async def test_nothing_is_compressed_in_the_thread_that_answers_others(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    class Watched(zipfile.ZipFile):
        def open(self, name: Any, *arguments: Any, **more: Any) -> Any:
            file = super().open(name, *arguments, **more)
            write = file.write

            def watched(data: Any) -> int:
                if str(name).endswith(".csv"):
                    threads.append(threading.get_ident())
                return write(data)

            file.write = watched  # type: ignore[method-assign]
            return file

    monkeypatch.setattr("tollhouse.store.copying.zipfile.ZipFile", Watched)
    url = postgres.new_database()
    await asyncio.to_thread(schema.upgrade, url)
    store = await open_store(url)
    try:
        path = await copying.copy_database(store, tmp_path, "copy")
        async with store.reading() as tx:
            revision = await tx.fetch_one(Sql("select version_num from alembic_version"))
    finally:
        await store.close()
        postgres.drop_database(url)
    assert threads
    assert threading.get_ident() not in threads
    with zipfile.ZipFile(path) as archive:
        assert revision is not None
        assert archive.read("revision.txt").decode() == revision["version_num"]
        assert archive.read("customer.csv").startswith(b"cell,")
