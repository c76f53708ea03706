"""How a command works on the database, beside a running `serve` or alone."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from tollhouse.catalog import Configuration
from tollhouse.cli.config import configuration
from tollhouse.settings.logs import hide_secrets, log_to_stderr
from tollhouse.store import Tx, open_store, test_clock
from tollhouse.store.opening import AnyStore
from tollhouse.store.revision import require_known, status

T = TypeVar("T")


def known_configuration(path: Path) -> Configuration:
    """Settings and catalogue, with a database whose schema is this version's. Raises ConfigurationError.

    From here on the log goes to stderr: stdout is for the command's result.

    Call it before the event loop runs: looking at the schema takes a connection of its own.
    """
    log_to_stderr()
    found = configuration(path, "data")
    hide_secrets(found.settings)
    require_known(status(found.settings.database_url.reveal()))
    return found


@asynccontextmanager
async def opened(found: Configuration) -> AsyncIterator[AnyStore]:
    """The database of this configuration, closed at the end of the block."""
    store = await open_store(found.settings.database_url.reveal())
    try:
        if found.settings.test_clock:
            await test_clock.follow(store)
        yield store
    finally:
        await store.close()


async def in_transaction(found: Configuration, work: Callable[[Tx, int], Awaitable[T]]) -> T:
    """Run one action with a transaction and the database's time (ms)."""
    async with opened(found) as store, store.transaction() as tx:
        return await work(tx, store.clock.now_ms())
