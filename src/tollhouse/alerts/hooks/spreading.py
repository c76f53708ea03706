"""From a fact of the outbox to a delivery for each endpoint that wants it, once, in the transaction that marks it done."""

from collections.abc import Iterable

import msgspec

from tollhouse.alerts.hooks import queries
from tollhouse.alerts.hooks.events import is_event, written
from tollhouse.alerts.hooks.model import Endpoint
from tollhouse.customers.actions import read_customer
from tollhouse.kernel.errors import NotFound
from tollhouse.store import Tx, Value
from tollhouse.store.outbox import Outgoing

WHILE_DISABLED = "the endpoint was disabled"


async def spread(tx: Tx, item: Outgoing, endpoints: Iterable[Endpoint], now: int) -> int:
    """Make the fact's deliveries; those of a disabled endpoint wait as failed, to be replayed. How many were made."""
    wanting = [endpoint for endpoint in endpoints if endpoint.wants(item.fact)] if is_event(item.fact) else []
    if not wanting:
        return 0
    body = written(item.fact, item.payload, item.customer, await _external_id(tx, item.customer), item.created_at)
    await tx.execute(
        queries.INSERT_EVENT, id=item.id, type=item.fact, customer=item.customer, payload=body, at=item.created_at
    )
    made = 0
    for endpoint in wanting:
        made += await deliver_to(tx, endpoint, item.id, now)
    return made


async def deliver_to(tx: Tx, endpoint: Endpoint, event: str, now: int) -> int:
    """The delivery of one event to one endpoint; 0 when it was made before."""
    row: dict[str, Value] = {"status": "waiting", "done_at": None, "error": None}
    if not endpoint.enabled:
        row = {"status": "failed", "done_at": now, "error": WHILE_DISABLED}
    return await tx.execute(queries.INSERT_DELIVERY, endpoint=endpoint.id, event=event, now=now, **row)


async def _external_id(tx: Tx, customer: str | None) -> str | None:
    if customer is None:
        return None
    try:
        return (await read_customer(tx, customer)).external_id
    except NotFound:
        return None


def readable(payload: str) -> str:
    """The body of an event, indented for people."""
    return msgspec.json.format(payload, indent=2)
