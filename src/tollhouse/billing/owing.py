"""Whether a subscription's customer owes us money, and from when on that counts. Pure."""

from tollhouse.billing.model import OWING_STATUSES, Snapshot, Subscription
from tollhouse.ledger.model import Standing


def standing_of(snapshot: Snapshot, subscription: Subscription, grace_ms: int) -> tuple[Standing, int | None]:
    """The standing, and when it turns past due unless the payment comes first.

    The grace time runs from the first attempt that failed, whenever we hear of it; what Stripe stopped without an attempt
    (a trial that ended without a card) has none.
    """
    if subscription.status not in OWING_STATUSES:
        return "good", None
    failed_at = _first_failure(snapshot, subscription)
    if not grace_ms or failed_at is None:
        return "past_due", None
    return "good", failed_at + grace_ms


def _first_failure(snapshot: Snapshot, subscription: Subscription) -> int | None:
    """When the oldest invoice that is still owed was first tried: Stripe does so as it finalizes it."""
    return min(
        (
            invoice.finalized_at or invoice.created_at
            for invoice in snapshot.invoices
            if invoice.subscription == subscription.id
            and invoice.status in ("open", "uncollectible")
            and invoice.attempts > 0
        ),
        default=None,
    )
