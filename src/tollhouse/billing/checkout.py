"""Selling: a Checkout page for a plan, and Stripe's portal. At most one live subscription and one open page a customer.

The network is asked outside transactions; what two browser tabs do at once is settled by Stripe's own list afterwards.
"""

from typing import NoReturn

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.attempts import count_attempt
from tollhouse.billing.currencies import choose_currency, close_other_currencies, own_currency
from tollhouse.billing.linking import Payer, ensure_stripe_customer
from tollhouse.billing.maintenance import require_selling
from tollhouse.billing.model import CUSTOMER_KEY, LIVE_STATUSES, OPENED_KEY, PLAN_KEY, VERSION_KEY, CheckoutSession
from tollhouse.billing.prices import learn_price, read_prices
from tollhouse.billing.quote_coupons import apply_quote, quote_ended, still_open
from tollhouse.billing.stripe import StripeGateway
from tollhouse.billing.wanted import slug
from tollhouse.catalog.model import Catalog, PlanVersion, Price
from tollhouse.kernel.errors import Conflict, InvalidRequest, Unavailable
from tollhouse.kernel.money import Money, written
from tollhouse.settings import Settings
from tollhouse.store import Store, cell_of

SUCCESS_PATH = "/app/billing?checkout=success&session={CHECKOUT_SESSION_ID}"
CANCEL_PATH = "/app/billing?checkout=cancelled"
RETURN_PATH = "/app/billing?portal=back"
INTERVALS = {"monthly": "month", "yearly": "year", "annual": "year", "month": "month", "year": "year"}


class Till(msgspec.Struct, frozen=True):
    """What selling needs: the store, the catalogue, Stripe, where customers come back to (`url`, without a path), and
    how many attempts are let through in a window."""

    store: Store
    catalog: Catalog
    gateway: StripeGateway
    url: str
    most_attempts: int
    window_ms: int


def open_till(store: Store, catalog: Catalog, gateway: StripeGateway | None, settings: Settings) -> Till:
    """The till of an installation. Raises Unavailable naming STRIPE_SECRET_KEY where payments are not set up."""
    stripe = settings.stripe
    return Till(
        store,
        catalog,
        require_gateway(gateway),
        settings.url.rstrip("/"),
        stripe.rate_limit_max,
        stripe.rate_limit_window_ms,
    )


def require_gateway(gateway: StripeGateway | None) -> StripeGateway:
    """Stripe, or Unavailable naming the setting that is missing (row S23)."""
    if gateway is None:
        raise Unavailable(
            "payments are not set up here: STRIPE_SECRET_KEY is missing",
            code="payments_not_configured",
            setting="STRIPE_SECRET_KEY",
            fix="set STRIPE_SECRET_KEY (Dashboard → Developers → API keys), or run `tollhouse demo`, then start again",
        )
    return gateway


def choose_price(
    catalog: Catalog, plan: str, interval: str | None, currency: str | None = None, own: str | None = None
) -> tuple[PlanVersion, Price]:
    """What is to be bought; `own` is the currency in which this customer pays. Raises InvalidRequest naming what is
    allowed.
    """
    sold = [known for known in catalog.plans.values() if known.prices and not known.contact_only]
    names = ", ".join(known.plan for known in sold) or "none"
    wanted = catalog.plans.get(plan.strip().lower())
    if wanted is None:
        raise InvalidRequest(
            f"there is no plan {plan!r}", code="unknown_plan", allowed=names, fix=f"name one of: {names}"
        )
    if wanted not in sold:
        why = "is sold no more" if wanted.retired else "is sold on request" if wanted.contact_only else "costs nothing"
        raise InvalidRequest(
            f"the plan {wanted.plan!r} {why} and has no Checkout", code="plan_not_for_sale", allowed=names,
            fix=f"name one of: {names}",
        )  # fmt: skip
    prices = choose_currency(f"the plan {wanted.plan!r}", wanted.prices, currency, own)
    if interval is None:
        return wanted, prices[0]
    every = INTERVALS.get(interval.strip().lower())
    for price in prices:
        if price.every == every:
            return wanted, price
    offered = ", ".join(dict.fromkeys(price.every for price in prices))
    raise InvalidRequest(
        f"the plan {wanted.plan!r} has no price for the interval {interval!r}", code="unknown_interval", allowed=offered,
        fix=f"name one of: {offered}",
    )  # fmt: skip


async def start_checkout(
    till: Till,
    payer: Payer,
    plan: str,
    interval: str | None = None,
    *,
    currency: str | None = None,
    address: str | None = None,
) -> str:
    """The address of a Checkout page for this plan. `address` is the browser's, where a browser asks.

    Raises InvalidRequest (unknown plan, interval or currency), TooManyAttempts, Conflict `already_subscribed` with the portal's
    `url` or `payment_processing`, Unavailable (`maintenance` while new subscriptions are paused).
    """
    await require_selling(till.store)
    version, price = choose_price(till.catalog, plan, interval, currency)
    who = (f"customer:{payer.customer}", *([f"address:{address}"] if address else []))
    async with till.store.transaction() as tx:
        await count_attempt(tx, who, till.most_attempts, till.window_ms, till.store.clock.now_ms())
    await _refuse_subscribed(till, payer, asking_stripe=False)
    own = await own_currency(till.store, till.gateway, payer.customer)
    version, price = choose_price(till.catalog, plan, interval, currency, own)
    price_id = await price_id_of(till, version, price)
    stripe_id = await ensure_stripe_customer(till.store, till.gateway, payer)
    await _refuse_subscribed(till, payer, asking_stripe=True)
    metadata = {
        CUSTOMER_KEY: payer.customer,
        PLAN_KEY: version.plan,
        VERSION_KEY: str(version.version),
        OPENED_KEY: str(till.store.clock.now_ms()),
    }
    await require_selling(till.store)
    applied = await apply_quote(till.store, till.gateway, payer.customer, version, price, price_id)
    session = await till.gateway.create_checkout(
        stripe_id, price_id, mode="subscription", customer=payer.customer, metadata=metadata | applied.metadata,
        success_url=till.url + SUCCESS_PATH, cancel_url=till.url + CANCEL_PATH, coupon=applied.coupon,
        expires_at=applied.closes_at, terms=till.catalog.terms,
    )  # fmt: skip
    if not await still_open(till.store, applied):
        await close_page(till, session)
        raise quote_ended()
    async with till.store.transaction() as tx:
        await tx.execute(
            queries.SAVE_SESSION, cell=cell_of(payer.customer), customer=payer.customer, id=session.id, plan=version.plan,
            version=version.version, every=price.every, price=price_id, now=till.store.clock.now_ms(),
            expires_at=session.expires_at,
        )  # fmt: skip
    await _keep_only_newest(till, payer, stripe_id, session)
    if own is None:
        await close_other_currencies(till.gateway, stripe_id, session)
    if session.url is None:
        raise Unavailable("Stripe made a Checkout page without an address", code="stripe_unavailable", fix="try again")
    return session.url


async def _keep_only_newest(till: Till, payer: Payer, stripe_id: str, session: CheckoutSession) -> None:
    """Close every other open page: two could both be paid. Raises Conflict when another browser opened a newer one."""
    pages = await till.gateway.open_checkouts(stripe_id)
    newest = max((*pages, session), key=lambda page: (page.opened_at, page.id))
    closed_late = False
    for page in pages:
        if page.id != newest.id:
            closed_late |= not await close_page(till, page)
    if closed_late:
        await _refuse_subscribed(till, payer, asking_stripe=True)
    if newest.id != session.id:
        raise Conflict(
            "another Checkout page was opened for this customer at this moment",
            code="checkout_open",
            url=newest.url,
            fix="go on with that page, or try again",
        )


async def close_page(till: Till, page: CheckoutSession) -> bool:
    """Close a page. False when it was not open any more: somebody has just paid on it, or closed it."""
    try:
        await till.gateway.expire_checkout(page.id)
    except InvalidRequest:
        return False
    return True


async def _refuse_subscribed(till: Till, payer: Payer, *, asking_stripe: bool) -> None:
    """A customer has at most one live subscription, which is changed in the portal, or one whose first payment is under way."""
    async with till.store.reading() as tx:
        rows = await tx.fetch(queries.SUBSCRIPTIONS, cell=cell_of(payer.customer), customer=payer.customer)
        prices = await read_prices(tx, till.catalog)
    if any(row["status"] in LIVE_STATUSES and row["plan"] is not None for row in rows):
        await already_subscribed(till, payer)
    if asking_stripe:
        stripe_id = await ensure_stripe_customer(till.store, till.gateway, payer)
        found = await till.gateway.subscriptions(stripe_id)
        ours = [subscription for subscription in found if prices.item_of(subscription)]
        if any(subscription.live for subscription in ours):
            await already_subscribed(till, payer)
        begun = {subscription.id for subscription in ours if subscription.status == "incomplete"}
        invoices = await till.gateway.invoices(stripe_id) if begun else ()
        if any(invoice.subscription in begun and invoice.status == "processing" for invoice in invoices):
            raise Conflict(
                "the payment of a subscription is under way for this customer", code="payment_processing",
                fix="wait for the bank's answer: the plan comes with it, and a payment that fails lets them buy again",
            )  # fmt: skip


async def already_subscribed(till: Till, payer: Payer) -> NoReturn:
    raise Conflict(
        "this customer has a subscription already",
        code="already_subscribed",
        url=await open_portal(till, payer),
        fix="change the plan in the portal at `url`",
    )


async def price_id_of(till: Till, plan: PlanVersion, price: Price) -> str:
    """Stripe's id of a price: the one that is configured, the one known, else the one that has its lookup key."""
    if price.stripe_price is not None:
        return price.stripe_price
    async with till.store.reading() as tx:
        prices = await read_prices(tx, till.catalog)
    for row in prices.rows.values():
        exact = (row.plan, row.version, row.every, row.currency, row.amount_minor)
        if exact == (plan.plan, plan.version, price.every, price.currency, price.amount_minor):
            return row.id
    found = await till.gateway.price_of_key(price.lookup_key)
    agreed = found is not None and (found.amount_minor, found.currency, found.every) == (
        price.amount_minor, price.currency, price.every,
    )  # fmt: skip
    if found is None or not agreed:
        what = (
            "has no price"
            if found is None
            else f"has another price than the catalogue ({written(Money(found.amount_minor, found.currency))})"
        )
        raise Unavailable(
            f"Stripe {what} for the plan {plan.plan!r} by the lookup key {price.lookup_key!r}",
            code="price_not_in_stripe",
            setting=f"plans.{plan.plan}.prices",
            fix="run `tollhouse stripe setup`",
        )
    sold = prices.find(found)
    if sold is not None:
        async with till.store.transaction() as tx:
            await learn_price(tx, sold, till.store.clock.now_ms())
    return found.id


async def open_portal(till: Till, payer: Payer) -> str:
    """The address of Stripe's page on which this customer manages its subscription (row S8)."""
    stripe_id = await ensure_stripe_customer(till.store, till.gateway, payer)
    return await till.gateway.create_portal(stripe_id, till.url + RETURN_PATH, slug(till.catalog))
