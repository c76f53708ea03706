"""Webhooks whose signature we refused: are they Stripe's own? Stripe is asked, so that no stranger can raise an alarm.

door: remember (id, why)  ->  worker: ask Stripe for the event  ->  it has it: kept in the inbox, set aside, counted, told
                                                                ->  it has not: a stranger's, forgotten
When the secret is mended Stripe sends it again, and that is handled; or staff replay it.
"""

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.counting import Tally
from tollhouse.billing.stripe import FIXES, BadSignature, Reason, StripeGateway, read_event
from tollhouse.billing.syncing import SOURCE
from tollhouse.kernel.errors import InvalidRequest, NotFound
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.store import Store, Tx, inbox, outbox

MOST_REMEMBERED = 200
ASKED_AT_ONCE = 10
REFUSED = "its signature was refused"
ALERT_KEY = "webhook_signature"
TELLING = frozenset({"no_secret", "wrong_secret", "too_old"})
"""What a sender with a real signature brings; anything else never came from Stripe."""

MEANINGS = {
    "no_secret": "webhooks come in, and STRIPE_WEBHOOK_SECRET is missing",
    "wrong_secret": "webhooks come in, and STRIPE_WEBHOOK_SECRET did not sign them",
    "too_old": "webhooks come in signed more than 300 s ago",
}


class _Refused(msgspec.Struct, frozen=True):
    id: str
    reason: Reason
    at: int


async def remember(tx: Tx, payload: bytes, error: BadSignature, now: int) -> bool:
    """Note an event that may be Stripe's. At most 200 wait to be asked for: there is no more to learn from the others."""
    if error.reason not in TELLING:
        return False
    try:
        event = read_event(payload)
    except InvalidRequest:
        return False
    if not event.id.startswith("evt_") or not event.id.isprintable():
        return False
    number = await tx.fetch_one(queries.REFUSED_NUMBER)
    if number is not None and number["number"] >= MOST_REMEMBERED:
        return False
    await tx.execute(queries.REFUSE_WEBHOOK, id=event.id, reason=error.reason, now=now)
    return True


async def ask_about_refused(store: Store, gateway: StripeGateway) -> int:
    """Ask Stripe about what was refused; the number that is its own. Raises Unavailable when it does not answer."""
    async with store.reading() as tx:
        waiting = [
            _Refused(row["id"], row["reason"], row["last_at"])
            for row in await tx.fetch(queries.REFUSED_WEBHOOKS, most=ASKED_AT_ONCE)
        ]
    confirmed = 0
    for refused in waiting:
        try:
            payload = await gateway.event(refused.id)
        except NotFound:
            payload = None
        async with store.transaction() as tx:
            if payload is not None:
                confirmed += await _keep(tx, payload, refused, store.clock.now_ms())
            await tx.execute(queries.FORGET_REFUSED, id=refused.id)
    return confirmed


async def _keep(tx: Tx, payload: str, refused: _Refused, now: int) -> bool:
    """The event as Stripe tells it, set aside and counted as failed; False when it has come rightly meanwhile."""
    event, tally = read_event(payload), Tally()
    tally.add("signature_refused", refused.at)
    if not await inbox.receive(tx, SOURCE, event.id, event.type, event.subject, payload, now):
        await tally.write(tx)
        return False
    fix = FIXES[refused.reason]
    await inbox.set_aside(tx, SOURCE, event.id, now, f"{REFUSED}: {MEANINGS[refused.reason]}; fix: {fix}")
    await outbox.put(
        tx, OperatorAlert(ALERT_KEY, "high", "Stripe's webhooks are refused", _detail(refused.reason), fix), now=now
    )
    tally.add("webhook_refused", now)
    tally.add("webhook_failed", now)
    await tally.write(tx)
    return True


def _detail(reason: Reason) -> str:
    return f"Stripe is reached: {MEANINGS[reason]}. What was paid meanwhile waits in the inbox and is not lost."
