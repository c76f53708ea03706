"""What staff have quoted to a customer, and what was agreed with the present subscription, for the customer's pages. Pure."""

from collections.abc import Iterable

from msgspec.structs import replace

from tollhouse.billing.actions import SubscriptionView
from tollhouse.billing.quotes import Quote
from tollhouse.catalog.model import Catalog, Every
from tollhouse.kernel.periods import boundary
from tollhouse.web.offers import PlanOffer, offers, with_quotes


def quoted_offers(catalog: Catalog, quotes: list[Quote]) -> list[PlanOffer]:
    """Every plan and term for which a quote is open."""
    terms: tuple[Every, ...] = ("month", "year")
    shown = [one for every in terms for one in with_quotes(offers(catalog, every), quotes) if one.quote is not None]
    # A plan that is sold at one term only is offered under both.
    return list({(one.plan, one.price.every if one.price else ""): one for one in shown}.values())


def agreed(
    catalog: Catalog, subscription: SubscriptionView | None, quotes: Iterable[Quote], now: int
) -> PlanOffer | None:
    """The quote with which this subscription was begun, while it lasts: at the subscription's own price."""
    if subscription is None:
        return None
    for quote in quotes:
        same = (quote.subscription, quote.plan, quote.every) == (subscription.id, subscription.plan, subscription.every)
        if same and quote.used_at is not None and _lasts(quote, quote.used_at, subscription, now):
            every: Every = "year" if quote.every == "year" else "month"
            found = next((one for one in offers(catalog, every) if one.plan == quote.plan), None)
            if found is not None and found.price is not None:
                price = replace(found.price, amount_minor=subscription.price.amount_minor, every=every)
                return replace(found, price=price, quote=quote)
    return None


def _lasts(quote: Quote, used_at: int, subscription: SubscriptionView, now: int) -> bool:
    """Whether the present period is paid at the quote's price."""
    if quote.offer.duration == "once":
        return used_at < subscription.period_end and used_at >= subscription.period_start
    if quote.offer.duration == "months":
        return now < boundary(used_at, "month", quote.offer.months or 0)
    return True
