"""The live secret keys in memory, so that a call is authenticated without a statement.

A cheap look at one number every second tells whether another process has changed the keys. A key revoked elsewhere stops
working within two seconds. While the database cannot be asked the keys go on for 30 s; then every key is refused.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from tollhouse.customers import queries
from tollhouse.customers.keys import digest_of
from tollhouse.customers.model import SecretKey
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import Store

EVERY_SECONDS = 1.0
TRUSTED_SECONDS = 30.0

log = structlog.get_logger(__name__)


class KeyRing:
    """Digests of the live keys of one database; `seconds` is a monotonic clock."""

    def __init__(self, store: Store, seconds: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._keys: dict[bytes, SecretKey] = {}
        self._number = -1
        self._checked_at: float | None = None

    def knows(self, bearer: bytes) -> bool:
        """Whether this is a live key, from memory. Raises Unavailable `keys_unknown` after 30 s without the database."""
        return self.find(bearer) is not None

    def find(self, bearer: bytes) -> SecretKey | None:
        """The live key with this text, from memory. Raises Unavailable `keys_unknown`."""
        return self.find_digest(digest_of(bearer))

    def find_digest(self, digest: bytes) -> SecretKey | None:
        """As `find`, by the key's digest (see `digest_of`)."""
        if self._checked_at is None or self._seconds() - self._checked_at > TRUSTED_SECONDS:
            raise Unavailable(
                "keys cannot be checked: the database has not answered for 30 s", code="keys_unknown",
                fix="send the same request again once the database is back",
            )  # fmt: skip
        return self._keys.get(digest)

    async def refresh(self) -> bool:
        """Look whether the keys have changed, and read them when they have. Call it after changing them. True: read anew."""
        asked_at = self._seconds()
        async with self._store.reading() as tx:
            row = await tx.fetch_one(queries.READ_KEY_CHANGE)
            number = row["number"] if row is not None else 0
            changed = number != self._number
            if changed:
                rows = await tx.fetch(queries.LIVE_SECRET_KEYS)
                self._keys = {
                    bytes(r["digest"]): SecretKey(r["id"], r["name"], r["last4"], r["created_at"]) for r in rows
                }
                self._number = number
        self._checked_at = asked_at
        return changed

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator["KeyRing"]:
        """Read the keys, and again every second while the block runs."""
        await self.refresh()
        task = asyncio.create_task(self._keep_fresh(), name="tollhouse-keyring")
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.refresh()
            except (
                Exception
            ) as error:  # this task must outlive whatever the database says, or every key ends after 30 s
                log.warning("keyring.not_refreshed", error=repr(error), fix="check that the database can be reached")
