"""How an open quote gets onto a Checkout page: as a coupon of Stripe's that only this customer is given."""

import msgspec

from tollhouse.billing.model import QUOTE_KEY
from tollhouse.billing.quotes import Quote, open_quote, read_quote, set_coupon
from tollhouse.billing.stripe import StripeGateway
from tollhouse.billing.stripe.coupons import ensure_coupon
from tollhouse.catalog.model import PlanVersion, Price
from tollhouse.kernel.clock import DAY, MINUTE
from tollhouse.kernel.errors import Conflict
from tollhouse.store import Store

SHORTEST_PAGE_MS = 31 * MINUTE
"""Stripe keeps a Checkout page open for at least half an hour."""
_DURATIONS = {"once": "once", "months": "repeating", "forever": "forever"}
LONGEST_NAME = 40


class Applied(msgspec.Struct, frozen=True):
    """What a Checkout page is opened with for a quote; everything empty without one."""

    quote: Quote | None = None
    coupon: str | None = None
    closes_at: int | None = None

    @property
    def metadata(self) -> dict[str, str]:
        """What is written on page and subscription, so that the quote is known to be used."""
        return {QUOTE_KEY: self.quote.id} if self.quote is not None else {}


async def apply_quote(
    store: Store, gateway: StripeGateway, customer: str, plan: PlanVersion, price: Price, price_id: str
) -> Applied:
    """The customer's open quote for this plan and term, with its coupon made."""
    now = store.clock.now_ms()
    async with store.reading() as tx:
        quote = await open_quote(tx, customer, plan.plan, price.every, now)
    if quote is None or quote.currency != price.currency:
        return Applied()
    closes_at = max(now + SHORTEST_PAGE_MS, quote.expires_at) if quote.expires_at < now + DAY else None
    off = quote.off(price.amount_minor)
    if not off:  # the plan has become cheaper than what was quoted
        return Applied(quote, None, closes_at)
    percent = quote.offer.value if quote.offer.kind == "percent" else None
    # An amount is part of the id: a fixed price takes another one off when the plan's own price has changed.
    coupon = f"tollhouse_{quote.id}" if percent is not None else f"tollhouse_{quote.id}_{off}"
    facts = await gateway.price(price_id)
    await ensure_coupon(
        gateway, coupon, plan.title[:LONGEST_NAME], facts.product, percent_hundredths=percent,
        amount_minor=None if percent is not None else off, currency=price.currency,
        duration=_DURATIONS[quote.offer.duration], months=quote.offer.months,
    )  # fmt: skip
    async with store.transaction() as tx:
        await set_coupon(tx, quote, coupon)
    return Applied(quote, coupon, closes_at)


async def still_open(store: Store, applied: Applied) -> bool:
    """Whether nobody has withdrawn the quote while the page was opened."""
    if applied.quote is None:
        return True
    now = store.clock.now_ms()
    async with store.reading() as tx:
        return (await read_quote(tx, applied.quote.id, now)).status in ("open", "expired")


def quote_ended() -> Conflict:
    """What the customer is told then."""
    return Conflict(
        "the quote was withdrawn at this moment", code="quote_ended", fix="look at the price, and try again"
    )
