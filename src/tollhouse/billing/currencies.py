"""One currency a customer (row X12): its first purchase fixes it, as Stripe fixes that of its own customers.

Before it, any price of the catalogue may be chosen. Amounts of two currencies are never added up.
"""

from collections.abc import Sequence
from typing import TypeVar

from tollhouse.billing import queries
from tollhouse.billing.linking import link_of_customer
from tollhouse.billing.model import CheckoutSession, Snapshot
from tollhouse.billing.stripe import StripeGateway
from tollhouse.catalog.model import PackPrice, Price
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.store import Store, Tx

Sold = TypeVar("Sold", Price, PackPrice)


async def currency_of(tx: Tx, customer: str) -> str | None:
    """In what this customer pays; None before its first purchase."""
    row = await tx.fetch_one(queries.CURRENCY, customer=customer)
    return None if row is None else row["currency"]


async def own_currency(store: Store, gateway: StripeGateway, customer: str) -> str | None:
    """The same at the moment of selling: who was never seen to buy may have bought a moment ago, so Stripe is asked."""
    async with store.reading() as tx:
        own, link = await currency_of(tx, customer), await link_of_customer(tx, customer)
    return own if own is not None or link is None else first_currency(await gateway.snapshot(link.id))


def first_currency(snapshot: Snapshot) -> str | None:
    """The currency of the first thing that was bought: a subscription that began, a paid invoice, or a pack.

    Whoever looks for the first time finds the same as who looked all along.
    """
    bought = [
        (subscription.created_at, subscription.id, subscription.currency)
        for subscription in snapshot.subscriptions
        if not subscription.status.startswith("incomplete")
    ]
    bought += [
        (invoice.paid_at or invoice.created_at, invoice.id, invoice.currency)
        for invoice in snapshot.invoices
        if invoice.status == "paid" and invoice.amount_paid_minor
    ]
    bought += [(pack.paid_at, pack.session, pack.paid.currency) for pack in snapshot.purchases if pack.paid.currency]
    return min(bought)[2] if bought else None


def choose_currency(what: str, prices: Sequence[Sold], asked: str | None, own: str | None) -> list[Sold]:
    """The prices of `what` in the customer's own currency, else in the one asked for, else all of them.

    Raises InvalidRequest, naming what is allowed.
    """
    wanted = asked.strip().lower() if asked else None
    if wanted and own and wanted != own:
        raise InvalidRequest(
            f"this customer pays in {own} since its first purchase, and in no other currency", code="currency_fixed",
            allowed=own, fix=f"send {own}, or leave `currency` out",
        )  # fmt: skip
    if wanted is None and own is None:
        return list(prices)
    found = [price for price in prices if price.currency == (own or wanted)]
    if not found:
        offered = ", ".join(dict.fromkeys(price.currency for price in prices))
        fix = (
            f"name another one, or add a price in {own} to the catalogue: this customer pays in {own}"
            if own
            else f"name one of: {offered}"
        )
        raise InvalidRequest(
            f"{what} has no price in {own or asked}", code="unknown_currency", allowed=offered, fix=fix
        )
    return found


async def close_other_currencies(gateway: StripeGateway, stripe_id: str, session: CheckoutSession) -> None:
    """Before the first purchase: close every open page in another currency than this one's, so that one fixes it."""
    for page in await gateway.open_checkouts(stripe_id, mode=None):
        if page.id != session.id and page.currency not in (None, session.currency):
            try:
                await gateway.expire_checkout(page.id)
            except InvalidRequest:  # paid or closed at this moment
                continue
