"""Whether a look at Stripe is older than the events that led to it: its lists may lag behind for a moment. Pure.

What only ever moves one way proves it: then the look is not believed, and the events are tried again. What may have been
changed back meanwhile proves nothing: then the look is applied, and another one follows soon.
"""

from collections.abc import Iterable

from tollhouse.billing.model import Snapshot, Stated, Subscription, WebhookEvent
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import Unavailable

LOOK_AGAIN_AFTER_MS = MINUTE
_OVER = ("canceled", "incomplete_expired")


def require_visible(snapshot: Snapshot, read: Iterable[WebhookEvent], stated: Iterable[Stated]) -> None:
    """Raises Unavailable where an event names what the look does not show yet."""
    if any(event.type == "customer.deleted" for event in read):
        return
    there = {subscription.id: subscription for subscription in snapshot.subscriptions}
    paid = {invoice.id for invoice in snapshot.invoices if invoice.status == "paid"}
    for event in read:
        if event.type.startswith("customer.subscription.") and event.subscription not in there:
            raise _not_yet(f"list {event.subscription}")
        if event.type in ("invoice.paid", "invoice.payment_succeeded") and event.object_id not in paid:
            raise _not_yet(f"list {event.object_id} as paid")
    for told in stated:
        shown = there[told.subscription]
        if told.over and shown.status not in _OVER:
            raise _not_yet(f"show the end of {told.subscription}")
        same = _prices(shown) == told.prices  # another item's period may have begun earlier
        if same and told.period_start > _period_start(shown) and shown.status not in _OVER:
            raise _not_yet(f"show the new period of {told.subscription}")


def perhaps_behind(snapshot: Snapshot, stated: Iterable[Stated]) -> bool:
    """Whether the look shows exactly what an event says was changed: it is older, or all was changed back."""
    there = {subscription.id: subscription for subscription in snapshot.subscriptions}
    for told in stated:
        shown = there.get(told.subscription)
        if shown is None:
            continue
        if told.was_prices is not None and told.was_prices != told.prices and _prices(shown) == told.was_prices:
            return True
        if told.was_canceling is not None and shown.cancel_at_period_end == told.was_canceling != told.canceling:
            return True
        if told.was_status is not None and shown.status == told.was_status != told.status:
            return True
    return False


def _period_start(shown: Subscription) -> int:
    return max((item.period_start for item in shown.items), default=shown.created_at)


def _prices(shown: Subscription) -> tuple[str, ...]:
    return tuple(item.price.id for item in shown.items)


def _not_yet(what: str) -> Unavailable:
    return Unavailable(f"Stripe does not {what} yet", code="not_visible_yet")
