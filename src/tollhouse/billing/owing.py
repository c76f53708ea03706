"""Whether a subscription's customer has paid for it at all, owes us money, and from when on that counts. Pure."""

from tollhouse.billing.model import OWED_STATUSES, OWING_STATUSES, Snapshot, Subscription
from tollhouse.ledger.model import Standing


def has_begun(snapshot: Snapshot, subscription: Subscription) -> bool:
    """Whether the plan is the customer's: once a first invoice is paid (a trial's is, at nothing).

    Stripe lets a subscription begin while a bank has only been asked for the first payment, which may fail days later.
    Who pays by invoice is trusted until its due date.
    """
    if subscription.sends_invoices:
        return True
    own = [invoice for invoice in snapshot.invoices if invoice.subscription == subscription.id]
    return any(invoice.status == "paid" for invoice in own) or not any(
        invoice.reason == "subscription_create" and invoice.status in OWED_STATUSES for invoice in own
    )


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
            if invoice.subscription == subscription.id and invoice.status in OWED_STATUSES and invoice.attempts > 0
        ),
        default=None,
    )
