"""From the outbox to whoever is to be told: claim, deliver outside any transaction, done; else later, else parked."""

from collections.abc import Awaitable, Callable

import structlog

from tollhouse.alerts.channels.email import Undeliverable
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import ConfigurationError, TollhouseError, Unavailable
from tollhouse.kernel.ids import new_id
from tollhouse.store import Store, outbox
from tollhouse.store.inbox import MOST_ATTEMPTS, pause_ms
from tollhouse.store.outbox import Outgoing

LEASE_MS = 2 * MINUTE
AT_ONCE = 20
MOST_ATTEMPTS_WHILE_AWAY = 80
"""While the other side does not answer: 12 tries in the first hours, then one an hour, about three days in all."""

Deliver = Callable[[Outgoing], Awaitable[None]]

log = structlog.get_logger(__name__)


async def deliver_once(store: Store, deliver: Deliver) -> bool:
    """Hand each fact that is due to `deliver`. Whether there may be more.

    `deliver` raises ConfigurationError for what waits until a setting is there: it is parked at once.
    """
    claim_id = new_id("clm")
    async with store.reading() as tx:
        if not await outbox.any_due(tx, store.clock.now_ms()):
            return False
    async with store.transaction() as tx:
        items = await outbox.claim(tx, store.clock.now_ms(), LEASE_MS, claim_id, AT_ONCE)
    for item in items:
        try:
            await deliver(item)
        except Exception as error:  # whatever it is, the fact must be kept
            await _failed(store, item, claim_id, error)
            continue
        async with store.transaction() as tx:
            await outbox.done(tx, item, claim_id, store.clock.now_ms())
    return len(items) == AT_ONCE


async def _failed(store: Store, item: Outgoing, claim_id: str, error: Exception) -> None:
    text = str(error) if isinstance(error, TollhouseError) else f"{type(error).__name__}: {error}"
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
