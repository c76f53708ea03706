"""Are our events complete? Stripe's own list is read, what is missing is stored, and each is followed until it is applied.

Stripe keeps its events for 30 days (docs.stripe.com/api/events). What is older is made up for by a reconciliation, which
compares states and needs no events.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from tollhouse.billing import pausing
from tollhouse.billing.counting import Tally
from tollhouse.billing.pausing import Pause, Proof
from tollhouse.billing.stripe import EVENTS_PAGE, StripeAccount, read_event
from tollhouse.billing.syncing import SOURCE, Syncer
from tollhouse.kernel.clock import DAY, MINUTE
from tollhouse.kernel.errors import Conflict
from tollhouse.store import Store, Tx, inbox

EARLIER_MS = 5 * MINUTE
"""The list is read from a little before: an event may have been on its way."""
KEPT_MS = 30 * DAY
PATIENCE_SECONDS = 150.0
"""A claim of another worker lasts two minutes."""
LOOK_SECONDS = 0.1
LOOK_AT_WORK_SECONDS = 1.0

Told = Callable[[str, int, int], None]
"""Hears what is done (listed, applied), how many, and of how many (0: nobody knows yet)."""


Counted = Callable[[Tx, int], Awaitable[None]]
"""Keeps how many had not arrived, in the transaction that stores them: so the number survives a kill."""


class Listed(msgspec.Struct, frozen=True):
    """What Stripe lists since `since` (ms), by id: all of them are stored now."""

    since: int
    ids: tuple[str, ...]
    too_old: bool


def quiet(what: str, done: int, of: int) -> None:
    """Nobody watches."""


async def store_missing(
    store: Store, gateway: StripeAccount, since: int, counted: Counted, told: Told = quiet
) -> Listed:
    """Store each event that Stripe lists since this moment (ms) and that has not arrived. Raises Unavailable."""
    begin = await _by_stripes_clock(store, gateway, since) - EARLIER_MS
    ids: list[str] = []
    older_than: str | None = None
    while True:
        page = await gateway.events(since=begin // 1000, older_than=older_than)
        came = []
        for payload in page:
            event = read_event(payload)
            came.append((event.id, event.type, event.subject, payload.decode()))
        async with store.transaction() as tx:
            now = store.clock.now_ms()
            missing = len(await inbox.receive_all(tx, SOURCE, came, now)) if came else 0
            if missing:
                tally = Tally()
                tally.add("webhook_received", now, missing)
                await tally.write(tx)
                await counted(tx, missing)
        ids += [row[0] for row in came]
        told("listed", len(ids), 0)
        if len(page) < EVENTS_PAGE:
            return Listed(begin, tuple(ids), begin < store.clock.now_ms() - KEPT_MS)
        older_than = read_event(page[0]).id


async def _by_stripes_clock(store: Store, gateway: StripeAccount, moment: int) -> int:
    """A moment of ours as Stripe's clock had it: events are dated by that, and ours may be off."""
    ours, stripes = store.clock.now_ms(), (await gateway.account()).answered_at
    return moment if stripes is None else moment + stripes - ours


async def follow(syncer: Syncer, listed: Listed, told: Told = quiet) -> Proof:
    """Work, beside whoever else does, until each of them is applied, waits for another try, or is parked."""
    store, number = syncer.store, len(listed.ids)
    left = list(listed.ids)
    deadline, look_at = time.monotonic() + PATIENCE_SECONDS, 0.0
    while True:
        worked = await syncer.work_once()
        if worked and time.monotonic() < look_at:  # each look asks for all that are left
            continue
        look_at = time.monotonic() + LOOK_AT_WORK_SECONDS
        async with store.reading() as tx:
            status = await inbox.statuses(tx, SOURCE, left)
            now = store.clock.now_ms()
            due = await inbox.any_due(tx, now) and not await pausing.is_paused(tx)
            busy = due or await inbox.any_claimed(tx, now)
        before = len(left)
        left = [name for name in left if status.get(name) != "done"]
        told("applied", number - len(left), number)
        if len(left) < before or worked:
            deadline = time.monotonic() + PATIENCE_SECONDS
        if not left or not (worked or busy) or time.monotonic() > deadline:
            parked = sum(status.get(name) == "parked" for name in left)
            return Proof(listed.since, number, number - len(left), len(left) - parked, parked, listed.too_old)
        if not worked:
            await asyncio.sleep(LOOK_SECONDS)


async def resume(syncer: Syncer, gateway: StripeAccount, *, by_whom: str, told: Told = quiet) -> Pause:
    """End the pause: store what did not arrive, apply everything, prove it. Killed anywhere, it is run again.

    Raises Conflict `not_paused`, Unavailable when Stripe does not answer (then events are still parked).
    """
    store = syncer.store
    async with store.reading() as tx:
        found = await pausing.open_pause(tx)
    if found is None:
        raise Conflict("Stripe's events are not parked", code="not_paused", fix="nothing is to be done")

    async def counted(tx: Tx, number: int) -> None:
        await pausing.count_fetched(tx, found, number)

    listed = await store_missing(store, gateway, found.started_at, counted, told)
    async with store.transaction() as tx:
        await pausing.let_go(tx, found, by_whom=by_whom, now=store.clock.now_ms())
    proof = await follow(syncer, listed, told)
    async with store.transaction() as tx:
        await pausing.finish(tx, found, proof, store.clock.now_ms())
        return next(one for one in await pausing.pauses(tx) if one.id == found.id)
