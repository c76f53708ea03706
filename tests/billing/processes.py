"""Workers in processes of their own, traced from outside: every step of applying an event is counted, and at one of them
the process is killed or stands still. The product knows nothing of it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.billing.world import CATALOG, KEY, World
from tollhouse.billing.stripe import StripeGateway
from tollhouse.billing.syncing import Syncer
from tollhouse.store import open_store

WAIT_SECONDS = 60

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["stripe._stripe_client", "tests.billing.processes"])


class Steps:
    """The steps that were begun. Before number `at` (from 1) is begun, the process gets this signal."""

    def __init__(self, at: int, signal_number: int) -> None:
        self.names: list[str] = []
        self._at = at
        self._signal = signal_number

    def begin(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self._at:
            os.kill(os.getpid(), self._signal)


class _Tx:
    """A transaction whose statements are steps."""

    def __init__(self, tx: Any, steps: Steps) -> None:
        self._tx = tx
        self._steps = steps
        self.dialect = tx.dialect

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tx, name)

        async def run(sql: Any, *arguments: Any, **parameters: Any) -> Any:
            self._steps.begin(" ".join(sql.text.split()[:4]))
            return await method(sql, *arguments, **parameters)

        return run


def _traced(opening: Callable[[], Any], steps: Steps, kind: str) -> Callable[[], Any]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[_Tx]:
        steps.begin(f"begin {kind}")
        async with opening() as tx:
            yield _Tx(tx, steps)
            steps.begin(f"commit {kind}")
        steps.begin(f"after the commit, {kind}")

    return opened


def _work(database_url: str, sandbox_url: str, ahead_ms: int, at: int, signal_number: int, told: Connection) -> None:
    told.send(asyncio.run(_worked(database_url, sandbox_url, ahead_ms, Steps(at, signal_number))))


async def _worked(database_url: str, sandbox_url: str, ahead_ms: int, steps: Steps) -> list[str]:
    store = await open_store(database_url)
    store.clock.test_offset_ms = ahead_ms
    gateway = StripeGateway(KEY, api_base=sandbox_url)
    asked = gateway._call

    async def call(method: str, path: str, *rest: Any) -> Any:
        steps.begin(f"ask for {path}")
        return await asked(method, path, *rest)

    store.transaction = _traced(store.transaction, steps, "a change")  # type: ignore[method-assign]
    store.reading = _traced(store.reading, steps, "a look")  # type: ignore[method-assign]
    gateway._call = call  # type: ignore[method-assign, assignment]
    syncer = Syncer(store, CATALOG, gateway)
    while await syncer.work_once():
        pass
    await gateway.close()
    await store.close()
    return steps.names


class Worker:
    """A process on this world's database, at its time, that works until nothing is due."""

    def __init__(self, world: World, database_url: str, *, at: int = 0, signal_number: int = 0) -> None:
        self._told, telling = _processes.Pipe(duplex=False)
        ahead_ms = world.store.clock.test_offset_ms
        self._process = _processes.Process(
            target=_work, args=(database_url, world.sandbox_url, ahead_ms, at, signal_number, telling), daemon=True
        )
        self._process.start()
        telling.close()

    async def ended(self) -> int:
        """Its exit code; minus the signal that killed it."""
        await asyncio.to_thread(self._process.join, WAIT_SECONDS)
        code = self._process.exitcode
        assert code is not None, "the worker did not end"
        return code

    async def steps(self) -> list[str]:
        """Every step that it began, once it has ended by itself."""
        assert await self.ended() == 0
        names: list[str] = self._told.recv()
        return names

    async def stands_still(self) -> None:
        """Until it has stopped itself at its step."""
        until = time.monotonic() + WAIT_SECONDS
        stat = Path(f"/proc/{self._process.pid}/stat")
        while (await asyncio.to_thread(stat.read_text)).rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < until, "the worker never came to this step"
            await asyncio.sleep(0.01)

    def go_on(self) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGCONT)
