"""From the outbox to whoever is to be told: claim, deliver outside any transaction, done; else later, else parked.

What is counted in our own books is counted in the transaction that marks the fact done: once, however often it comes.

Letters one by one, as their server takes them; events many at once, each spread to the endpoints of webhooks out in the
transaction that marks it done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from tollhouse.alerts.channels.email import Undeliverable
from tollhouse.alerts.hooks.actions import list_endpoints
from tollhouse.alerts.hooks.spreading import spread
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import ConfigurationError, TollhouseError, Unavailable
from tollhouse.kernel.ids import new_id
from tollhouse.kernel.masking import mask_text
from tollhouse.store import Store, outbox
from tollhouse.store.inbox import MOST_ATTEMPTS, pause_ms
from tollhouse.store.outbox import Finish, Outgoing, Which

LEASE_MS = 2 * MINUTE
AT_ONCE = 20
MOST_ATTEMPTS_WHILE_AWAY = 80
"""While the other side does not answer: 12 tries in the first hours, then one an hour, about three days in all."""
EVENTS_AT_ONCE = 100

Deliver = Callable[[Outgoing], Awaitable[Finish | None]]
"""Does what a fact asks for; what it gives back, if anything, is written with the fact's end."""

log = structlog.get_logger(__name__)


async def deliver_once(store: Store, deliver: Deliver, which: Which = "all") -> bool:
    """Hand each fact of this kind that is due to `deliver`. Whether there may be more.

    `deliver` raises ConfigurationError for what waits until a setting is there: it is parked at once.
    """
    claim_id = new_id("clm")
    async with store.reading() as tx:
        if not await outbox.any_due(tx, store.clock.now_ms(), which):
            return False
    async with store.transaction() as tx:
        items = await outbox.claim(tx, store.clock.now_ms(), LEASE_MS, claim_id, AT_ONCE, which)
    for item in items:
        try:
            finish = await deliver(item)
            async with store.transaction() as tx:
                if await outbox.done(tx, item, claim_id, store.clock.now_ms()) and finish is not None:
                    await finish(tx)
        except Exception as error:  # whatever it is, the fact must be kept
            await _failed(store, item, claim_id, error)
    return len(items) == AT_ONCE


async def spread_once(store: Store, deliver: Deliver, spread_to: asyncio.Event) -> bool:
    """Do for each event that is due what the house does for it, and make its webhooks. Whether there may be more."""
    claim_id = new_id("clm")
    async with store.reading() as tx:
        if not await outbox.any_due(tx, store.clock.now_ms(), "events"):
            return False
    async with store.transaction() as tx:
        items = await outbox.claim(tx, store.clock.now_ms(), LEASE_MS, claim_id, EVENTS_AT_ONCE, "events")
    delivered: list[tuple[Outgoing, Finish | None]] = []
    for item in items:
        try:
            delivered.append((item, await deliver(item)))
        except Exception as error:  # whatever it is, the fact must be kept
            await _failed(store, item, claim_id, error)
    try:
        made = await _spread(store, delivered, claim_id)
    except Exception:  # one of them cannot be spread: it must not hold up the others
        made = 0
        for item, finish in delivered:
            try:
                made += await _spread(store, [(item, finish)], claim_id)
            except Exception as error:
                await _failed(store, item, claim_id, error)
    if made:
        spread_to.set()
    return len(items) == EVENTS_AT_ONCE


async def _spread(store: Store, items: Sequence[tuple[Outgoing, Finish | None]], claim_id: str) -> int:
    made = 0
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        endpoints = await list_endpoints(tx, lock=True)
        for item, finish in items:
            if await outbox.done(tx, item, claim_id, now):  # else somebody else has it by now
                if finish is not None:
                    await finish(tx)
                made += await spread(tx, item, endpoints, now)
    return made


async def _failed(store: Store, item: Outgoing, claim_id: str, error: Exception) -> None:
    text = mask_text(str(error) if isinstance(error, TollhouseError) else f"{type(error).__name__}: {error}")
    attempts = item.attempts + 1
    most = MOST_ATTEMPTS_WHILE_AWAY if isinstance(error, Unavailable) else MOST_ATTEMPTS
    parked = isinstance(error, (ConfigurationError, Undeliverable)) or attempts >= most
    now = store.clock.now_ms()
    async with store.transaction() as tx:
        if parked:
            await outbox.park(tx, item, claim_id, now, attempts=attempts, error=text)
        else:
            await outbox.retry(tx, item, claim_id, attempts=attempts, due_at=now + pause_ms(attempts), error=text)
    log.warning("outbox.not_delivered", id=item.id, fact=item.fact, attempts=attempts, parked=parked, error=text)
