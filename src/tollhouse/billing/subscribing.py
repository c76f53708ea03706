"""Subscribing without a Checkout page: a product's own front end brings a card by a setup intent (Stripe Elements).

start_setup -> the browser confirms the card -> subscribe -> active, or what the browser must do next. One at a time for
each customer: a claim that lapses by itself keeps a second click out while Stripe is asked.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from tollhouse.billing.attempts import count_attempt
from tollhouse.billing.checkout import Till, already_subscribed, choose_price, close_page, price_id_of
from tollhouse.billing.currencies import own_currency
from tollhouse.billing.linking import Payer, ensure_stripe_customer
from tollhouse.billing.maintenance import require_selling
from tollhouse.billing.model import (
    CUSTOMER_KEY,
    PLAN_KEY,
    SETUP_KEY,
    VERSION_KEY,
    WAITING_STATUSES,
    Setup,
    Subscription,
)
from tollhouse.billing.prices import read_prices
from tollhouse.billing.quote_coupons import apply_quote
from tollhouse.billing.refreshing import refresh
from tollhouse.billing.stripe import intents
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.store import Sql

CLAIM_MS = MINUTE
LONGEST_ID = 255

_CLAIM = Sql(
    "insert into subscribing (customer, until) values (:customer, :until)"
    " on conflict (customer) do update set until = excluded.until where subscribing.until <= :now"
)
_RELEASE = Sql("delete from subscribing where customer = :customer and until = :until")


class SetupStarted(msgspec.Struct, frozen=True):
    """What Stripe.js needs to bring a card. The secret is the customer's alone: it is neither kept nor logged."""

    setup_intent: str
    client_secret: str

    def __repr__(self) -> str:
        return f"SetupStarted({self.setup_intent!r}, …)"


class Subscribed(msgspec.Struct, frozen=True):
    """`active`: it is paid. `requires_action`: the browser confirms the payment with `client_secret` (Stripe.js
    `confirmCardPayment`), and the webhooks bring the rest. `processing`: the bank is at work."""

    status: str
    subscription: str
    client_secret: str | None = None

    def __repr__(self) -> str:
        return f"Subscribed({self.status!r}, {self.subscription!r}, …)"


async def start_setup(till: Till, payer: Payer, *, address: str | None = None) -> SetupStarted:
    """A setup intent for this customer. Raises TooManyAttempts, Unavailable (also `maintenance`)."""
    await require_selling(till.store)
    await _count(till, payer, address, "setup:")
    stripe_id = await ensure_stripe_customer(till.store, till.gateway, payer)
    opened = await intents.open_setup(till.gateway, stripe_id, payer.customer)
    return SetupStarted(opened.id, opened.client_secret)


async def subscribe(
    till: Till,
    payer: Payer,
    plan: str,
    interval: str | None,
    setup_intent: str,
    *,
    currency: str | None = None,
    address: str | None = None,
) -> Subscribed:
    """Subscribe with the card of a setup intent that has succeeded. Asked again with the same one it answers the same.

    Raises InvalidRequest (unknown plan, interval or currency, a setup intent of somebody else, `card_declined`), TooManyAttempts,
    Conflict (`already_subscribed` with the portal's `url`, `setup_not_finished`, `subscribing`), Unavailable (also `maintenance`).
    """
    await require_selling(till.store)
    own = await own_currency(till.store, till.gateway, payer.customer)
    version, price = choose_price(till.catalog, plan, interval, currency, own)
    await _count(till, payer, address, "")
    stripe_id = await ensure_stripe_customer(till.store, till.gateway, payer)
    setup = await _finished_setup(till, stripe_id, setup_intent)
    price_id = await price_id_of(till, version, price)
    async with _alone(till, payer.customer):
        before = await _make_room(till, payer, stripe_id, setup, price_id)
        if before is not None:
            return before
        metadata = {
            CUSTOMER_KEY: payer.customer,
            PLAN_KEY: version.plan,
            VERSION_KEY: str(version.version),
            SETUP_KEY: setup.id,
        }
        await require_selling(till.store)
        applied = await apply_quote(till.store, till.gateway, payer.customer, version, price, price_id)
        made = await intents.subscribe(
            till.gateway, stripe_id, price_id, setup.payment_method or "", metadata | applied.metadata,
            f"tollhouse-subscribe-{setup.id}-{price_id}-{applied.coupon}", applied.coupon,
        )  # fmt: skip
        answer = await _standing(till, made.id, made.status, made.invoice)
    await refresh(till, payer.customer)
    return answer


async def _count(till: Till, payer: Payer, address: str | None, what: str) -> None:
    who = (f"{what}customer:{payer.customer}", *([f"{what}address:{address}"] if address else []))
    async with till.store.transaction() as tx:
        await count_attempt(tx, who, till.most_attempts, till.window_ms, till.store.clock.now_ms())


async def _finished_setup(till: Till, stripe_id: str, name: str) -> Setup:
    unknown = InvalidRequest(
        f"{name[:LONGEST_ID]!r} is no setup intent of this customer",
        code="unknown_setup_intent",
        fix="send the `setup_intent` that POST /billing/setup-intent answered for this customer",
    )
    if not name.startswith("seti_") or len(name) > LONGEST_ID or not name.isprintable():
        raise unknown
    try:
        setup = await intents.setup(till.gateway, name)
    except NotFound:
        raise unknown from None
    if setup.customer != stripe_id:
        raise unknown
    if setup.status != "succeeded" or setup.payment_method is None:
        raise Conflict(
            f"the setup intent {setup.id} has not succeeded: it is {setup.status}",
            code="setup_not_finished",
            fix="let the browser confirm it with its client_secret first (Stripe.js confirmSetup), then ask again",
        )
    return setup


@asynccontextmanager
async def _alone(till: Till, customer: str) -> AsyncIterator[None]:
    """Nobody else subscribes this customer meanwhile. Raises Conflict when somebody is at it."""
    store = till.store
    now = store.clock.now_ms()
    async with store.transaction() as tx:
        claimed = await tx.execute(_CLAIM, customer=customer, until=now + CLAIM_MS, now=now)
    if not claimed:
        raise Conflict(
            "this customer is being subscribed at this moment", code="subscribing", fix="try again in a moment"
        )
    try:
        yield
    finally:
        async with store.transaction() as tx:
            await tx.execute(_RELEASE, customer=customer, until=now + CLAIM_MS)


async def _make_room(till: Till, payer: Payer, stripe_id: str, setup: Setup, price_id: str) -> Subscribed | None:
    """What an earlier try came to is gone, and open pages are closed; the answer when this very card did it already.

    Raises Conflict `already_subscribed`.
    """
    async with till.store.reading() as tx:
        prices = await read_prices(tx, till.catalog)
    waiting: list[Subscription] = []
    for found in await till.gateway.subscriptions(stripe_id):
        again = found.metadata.get(SETUP_KEY) == setup.id and any(item.price.id == price_id for item in found.items)
        if again and (found.live or found.status == "incomplete"):
            return await _standing(till, found.id, found.status, await _open_invoice(till, stripe_id, found.id))
        if found.live and prices.item_of(found):
            await already_subscribed(till, payer)
        if found.status == "incomplete" and prices.item_of(found):
            waiting.append(found)
    closed = [await close_page(till, page) for page in await till.gateway.open_checkouts(stripe_id)]
    given_up = [await _give_up(till, found.id, await _open_invoice(till, stripe_id, found.id)) for found in waiting]
    if not all((*closed, *given_up)):  # somebody has paid there at this moment
        await already_subscribed(till, payer)
    return None


async def _open_invoice(till: Till, stripe_id: str, subscription: str) -> str | None:
    found = await till.gateway.invoices(stripe_id)
    owed = (each.id for each in found if each.subscription == subscription and each.status in WAITING_STATUSES)
    return next(owed, None)


async def _give_up(till: Till, subscription: str, invoice: str | None) -> bool:
    """End a subscription that was never paid. False when it has just been paid: only an open invoice can be void."""
    if invoice is None:
        return False
    try:
        await intents.void(till.gateway, invoice)
    except InvalidRequest:
        return False
    try:
        await intents.cancel(till.gateway, subscription)
    except (InvalidRequest, NotFound):  # Stripe ends it by itself with its first invoice
        return True
    return True


async def _standing(till: Till, subscription: str, status: str, invoice: str | None) -> Subscribed:
    """What the browser is told. Raises InvalidRequest `card_declined`; then nothing is left of the subscription."""
    if status != "incomplete":
        return Subscribed("active" if status in ("active", "trialing") else status, subscription)
    begun = await intents.first_payment(till.gateway, invoice) if invoice is not None else None
    if begun is None:
        return Subscribed("processing", subscription)
    payment, opened = begun
    if payment.status == "requires_action":
        return Subscribed("requires_action", subscription, opened.client_secret)
    if payment.status in ("requires_payment_method", "canceled"):  # canceled: given up by an earlier call
        await _give_up(till, subscription, invoice)
        raise InvalidRequest(
            payment.failure or "the card was declined", code="card_declined", reason=payment.failure_code,
            fix="ask for another card: begin with POST /billing/setup-intent",
        )  # fmt: skip
    return Subscribed("active" if payment.status == "succeeded" else "processing", subscription)
