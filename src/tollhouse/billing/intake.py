"""Stripe's events on their way into the inbox: kept in groups, and nobody is answered before his event is on disk.

What comes while one group is being written is the next one; no timer makes anybody wait.
"""

import asyncio
from collections.abc import Sequence

import structlog

from tollhouse.billing.model import WebhookEvent
from tollhouse.billing.syncing import SOURCE
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import Store, inbox

MOST_AT_ONCE = 256

log = structlog.get_logger(__name__)


class _Waiting:
    """An event, and who waits for it to be kept."""

    __slots__ = ("event", "kept", "payload")

    def __init__(self, event: WebhookEvent, payload: str, kept: "asyncio.Future[None]") -> None:
        self.event = event
        self.payload = payload
        self.kept = kept


class Intake:
    """One process's way into the inbox. `bell` wakes its worker after each group."""

    def __init__(self, store: Store, bell: asyncio.Event) -> None:
        self._store = store
        self._bell = bell
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, event: WebhookEvent, payload: bytes) -> None:
        """Returns once the event is committed, by this call or an earlier one. Raises Unavailable."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(event, payload.decode(), kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="intake")
        await kept

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._keep_group(group)
        finally:
            self._writing = None

    async def _keep_group(self, group: Sequence[_Waiting]) -> None:
        try:
            await self._commit(group)
        except Exception as error:
            if len(group) == 1 or isinstance(error, Unavailable):
                for waiting in group:
                    if not waiting.kept.done():
                        waiting.kept.set_exception(error)
                return
            for waiting in group:  # one of them cannot be kept: the others must not suffer for it
                await self._keep_group([waiting])
            return
        self._bell.set()
        log.info("webhook.received", events=[f"{waiting.event.id} {waiting.event.type}" for waiting in group])
        for waiting in group:
            if not waiting.kept.done():
                waiting.kept.set_result(None)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        now = self._store.clock.now_ms()
        came = [(one.event.id, one.event.type, one.event.subject, one.payload) for one in group]
        async with self._store.statement() as tx:
            await inbox.receive_all(tx, SOURCE, came, now)
