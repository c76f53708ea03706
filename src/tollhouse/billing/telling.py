"""What the rest of the house is told when a look at Stripe shows something new: subscriptions and payments.

Each is told once: it is new against the rows that the same transaction then writes. Of a history that was there before
Stripe was connected only the last three days count as news.
"""

from tollhouse.billing.model import Invoice, Purchase, Subscription
from tollhouse.catalog.model import PlanVersion
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.facts import Fact, PaymentSucceeded, SubscriptionEnded, SubscriptionStarted
from tollhouse.store import Row, Tx, outbox

NEWS_MS = 3 * DAY
_BEGUN = frozenset({"active", "trialing", "past_due", "unpaid", "paused"})


async def tell_subscription(
    tx: Tx, customer: str, subscription: Subscription, version: PlanVersion | None, known: Row | None, now: int
) -> None:
    """It has begun, or it is over; one whose price buys no plan is told once it does."""
    if version is None:
        return
    had_begun = known is not None and known["plan"] is not None and known["status"] in _BEGUN
    begun = subscription.ended_at is None and subscription.status in _BEGUN
    if begun and not had_begun and (known is not None or subscription.created_at >= now - NEWS_MS):
        every = subscription.items[0].price.every
        await _put(tx, customer, SubscriptionStarted(customer, subscription.id, version.plan, every), now)
    elif had_begun and subscription.ended_at is not None:
        await _put(tx, customer, SubscriptionEnded(customer, subscription.id, version.plan), now)


async def tell_gone(tx: Tx, customer: str, known: Row, now: int) -> None:
    """Stripe lists it no longer, so it is over."""
    if known["plan"] is not None and known["status"] in _BEGUN:
        await _put(tx, customer, SubscriptionEnded(customer, known["id"], known["plan"]), now)


async def tell_paid(tx: Tx, customer: str, invoice: Invoice, known: Row | None, now: int) -> None:
    """An invoice is paid, and was not before."""
    if invoice.status != "paid" or invoice.amount_paid_minor <= 0:
        return
    news = known["status"] != "paid" if known is not None else (invoice.paid_at or invoice.created_at) >= now - NEWS_MS
    if news:
        await _put(
            tx, customer, PaymentSucceeded(customer, invoice.id, invoice.amount_paid_minor, invoice.currency), now
        )


async def tell_bought(tx: Tx, customer: str, purchase: Purchase, now: int) -> None:
    """A pack is paid and its credits have just been granted."""
    if purchase.paid_at >= now - NEWS_MS and purchase.paid.amount_minor > 0:
        paid = purchase.paid
        await _put(tx, customer, PaymentSucceeded(customer, purchase.session, paid.amount_minor, paid.currency), now)


async def _put(tx: Tx, customer: str, fact: Fact, now: int) -> None:
    await outbox.put(tx, fact, customer=customer, now=now)
