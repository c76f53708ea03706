"""Stripe's events on their way into the inbox: kept in groups, and nobody is answered before his event is on disk.

What comes while one group is being written is the next one; no timer makes anybody wait.
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from tollhouse.billing import queries
from tollhouse.billing.counting import Tally
from tollhouse.billing.model import WebhookEvent
from tollhouse.billing.syncing import SOURCE
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import Store, Tx, inbox

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
        await receive(self._store, [(one.event, one.payload) for one in group], self._store.clock.now_ms())


async def receive(store: Store, came: Iterable[tuple[WebhookEvent, str]], now: int) -> None:
    """Keep verified events, each once, and count the new ones in the same statement.

    One whose signature was refused before, and which Stripe now sends again, is handled like a new one.
    """
    rows = sorted((event.id, event.type, event.subject, payload) for event, payload in came)
    async with store.statement() as tx:
        new = await _keep_and_count(tx, rows, now)
    again = {id for id, *_ in rows} - new
    if again:
        async with store.transaction() as tx:
            await inbox.revive_all(tx, SOURCE, again, now)
            tally = Tally()
            tally.add("signature_verified", now, len(again))
            await tally.write(tx)


async def _keep_and_count(tx: Tx, rows: list[tuple[str, str, str, str]], now: int) -> set[str]:
    if tx.dialect == "postgresql":
        columns = inbox.as_columns(rows)
        kept = await tx.fetch(queries.KEEP_AND_COUNT, source=SOURCE, now=now, minute=now // MINUTE * MINUTE, **columns)
        return {row["id"] for row in kept}
    new = await inbox.receive_all(tx, SOURCE, rows, now)
    tally = Tally()
    tally.add("webhook_received", now, len(new))
    await tally.write(tx)
    return new
