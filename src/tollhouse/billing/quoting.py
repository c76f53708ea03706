"""What staff do with quotes, on pages and by commands: set one, withdraw one, with what follows at Stripe."""

from tollhouse.billing.checkout import Till, choose_price, close_page
from tollhouse.billing.linking import link_of_customer
from tollhouse.billing.quotes import Quote, read_offer, read_quote, set_quote, withdraw
from tollhouse.billing.stripe.coupons import delete_coupon
from tollhouse.catalog.model import Catalog
from tollhouse.identity.emails import plain_text
from tollhouse.store import Tx

LONGEST_REASON = 500


async def quote_plan(
    tx: Tx, catalog: Catalog, customer: str, *, plan: str, interval: str | None, kind: str, value: str, duration: str,
    months: str, reason: str, by_whom: str, lasts_ms: int, now: int,
) -> Quote:  # fmt: skip
    """Set a quote, from what was typed. Raises InvalidRequest naming what is wrong, Conflict `quote_open`."""
    version, price = choose_price(catalog, plan, interval or None)
    offer = read_offer(kind, value, duration, months, price)
    return await set_quote(
        tx, customer, version.plan, price, offer, reason=plain_text(reason, "the reason", LONGEST_REASON),
        by_whom=by_whom, expires_at=now + lasts_ms, now=now,
    )  # fmt: skip


async def withdraw_quote(till: Till, name: str, *, by_whom: str, why: str) -> Quote:
    """Withdraw a quote and close the pages on which it stands. Asked again it does what is left of that.

    Raises NotFound, Conflict `quote_used`, Unavailable (then it is withdrawn, and asking again closes the pages).
    """
    now = till.store.clock.now_ms()
    async with till.store.transaction() as tx:
        found = await read_quote(tx, name, now)
        found = await withdraw(tx, found, by_whom=by_whom, why=plain_text(why, "the reason", LONGEST_REASON), now=now)
        link = await link_of_customer(tx, found.customer)
    if link is not None and found.coupon is not None:
        await delete_coupon(till.gateway, found.coupon)
        for page in await till.gateway.open_checkouts(link.id):
            await close_page(till, page)
    return found
