"""A world that is rolled back: its endpoints at the sandbox, whoever does it, and processes that are killed at it."""

from __future__ import annotations

import asyncio
import csv
import io
import multiprocessing
import os
import signal
import sqlite3
import stat
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.billing.world import CATALOG, KEY, URL, World, opened
from tests.support.product import configuration_of
from tollhouse.billing import maintenance, rolling_back
from tollhouse.billing.account import HANDLED_EVENTS
from tollhouse.billing.rollback import Options, Rollback
from tollhouse.billing.rolling_back import Roller
from tollhouse.billing.stripe import StripeAccount
from tollhouse.store import Sql, open_store

SETTINGS = configuration_of("sqlite:///none.db", TOLLHOUSE_URL=URL).settings
ADDRESS = f"{URL}/webhooks/stripe"
WAIT_SECONDS = 60

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["stripe._stripe_client", "tests.billing.drills"])


@dataclass
class Drill:
    """A world whose endpoints stand at the sandbox, and whoever rolls it back."""

    world: World
    gateway: StripeAccount
    folder: Path

    @property
    def roller(self) -> Roller:
        return Roller(self.world.store, self.world.catalog, self.gateway, SETTINGS, folder=self.folder)

    async def endpoint(self, url: str, *, enabled: bool = True) -> str:
        made = await self.gateway.create_endpoint(url, HANDLED_EVENTS, {"kept": "yes"}, url)
        if not enabled:
            await self.gateway.update_endpoint(made.id, {"disabled": True})
        return made.id

    async def endpoints(self) -> dict[str, tuple[bool, dict[str, str]]]:
        return {each.id: (each.enabled, each.metadata) for each in await self.gateway.endpoints()}

    async def roll_back(self, **options: Any) -> Rollback:
        return await self.roller.roll_back(Options(**options), by_whom="grace")

    async def undo(self) -> Rollback:
        return await self.roller.undo(by_whom="ada")

    async def users(self, number: int) -> None:
        """So many users with a proven address, and one without."""
        async with self.world.store.transaction() as tx:
            for n in range(number + 1):
                await tx.execute(
                    Sql(
                        "insert into users (id, email, name, locale, created_at, verified_at)"
                        " values (:id, :email, '', :locale, 1, :verified)"
                    ),
                    id=f"usr_{n:03}", email=f"u{n}@example.com", locale="fr" if n % 2 else "en",
                    verified=None if n == number else 1,
                )  # fmt: skip

    async def on(self) -> bool:
        async with self.world.store.reading() as tx:
            return await maintenance.current(tx, self.world.store.clock.now_ms()) is not None


@asynccontextmanager
async def drilling(database_url: str, folder: Path) -> AsyncIterator[Drill]:
    async with opened(database_url) as world:
        gateway = StripeAccount(KEY, api_base=world.sandbox_url)
        try:
            yield Drill(world, gateway, folder)
        finally:
            await gateway.close()


def accounts_in(file: Path) -> int:
    """How many accounts the copy holds; only its owner may read it."""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if file.suffix == ".db":
        with closing(sqlite3.connect(file)) as copy:
            assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
            return int(copy.execute("select count(*) from account").fetchone()[0])
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.read("revision.txt").decode().isdigit()
        return len(list(csv.DictReader(io.StringIO(archive.read("account.csv").decode()))))


# --- in processes of their own ---


class Steps:
    """The steps that were begun. Before number `at` (from 1) is begun, the process is killed."""

    def __init__(self, at: int) -> None:
        self.names: list[str] = []
        self._at = at

    def begin(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def _traced(opening: Callable[[], Any], steps: Steps) -> Callable[[], Any]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with opening() as tx:
            yield tx
            steps.begin("commit")
        steps.begin("after the commit")

    return opened


def _run(
    database_url: str, sandbox_url: str, ahead_ms: int, folder: str, undo: bool, at: int, told: Connection
) -> None:  # fmt: skip
    told.send(asyncio.run(_rolled(database_url, sandbox_url, ahead_ms, Path(folder), undo, Steps(at))))


async def _rolled(
    database_url: str, sandbox_url: str, ahead_ms: int, folder: Path, undo: bool, steps: Steps
) -> list[str]:
    store = await open_store(database_url)
    store.clock.test_offset_ms = ahead_ms
    gateway = StripeAccount(KEY, api_base=sandbox_url)
    room: Any = rolling_back
    asked, copied = gateway._answer, room.copy_database

    async def answer(method: str, path: str, *rest: Any) -> Any:
        if method == "get":
            return await asked(method, path, *rest)
        steps.begin(f"ask for {path}")
        given = await asked(method, path, *rest)
        steps.begin(f"after asking for {path}")
        return given

    async def copy(*arguments: Any) -> Any:
        steps.begin("copy")
        made = await copied(*arguments)
        steps.begin("after the copy")
        return made

    store.transaction = _traced(store.transaction, steps)  # type: ignore[method-assign]
    gateway._answer = answer  # type: ignore[method-assign, assignment]
    room.copy_database = copy
    roller = Roller(store, CATALOG, gateway, SETTINGS, folder=folder)
    if undo:
        await roller.undo(by_whom="killed")
    else:
        await roller.roll_back(Options(tell_users=True), by_whom="killed")
    await gateway.close()
    await store.close()
    return steps.names


async def in_a_process(drill: Drill, database_url: str, *, undo: bool, at: int = 0) -> list[str]:
    """Roll back, or undo it, in a process that is killed before its step `at`; every step where it was not killed."""
    told, telling = _processes.Pipe(duplex=False)
    ahead_ms = drill.world.store.clock.test_offset_ms
    arguments = (database_url, drill.world.sandbox_url, ahead_ms, str(drill.folder), undo, at, telling)
    process = _processes.Process(target=_run, args=arguments, daemon=True)
    process.start()
    telling.close()
    await asyncio.to_thread(process.join, WAIT_SECONDS)
    if at:
        assert process.exitcode == -signal.SIGKILL, f"it was not killed before step {at}"
        return []
    assert process.exitcode == 0
    names: list[str] = told.recv()
    return names
