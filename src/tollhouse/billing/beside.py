"""One customer's payments beside Stripe's own record: ours as kept, Stripe's as it answers now, and what differs.

Nothing is changed and nothing of Stripe's is kept. Stripe is asked outside transactions; when it does not answer, ours
are shown with the reason and its fix.
"""

import asyncio
import time
from typing import Any

import msgspec

from tollhouse.billing.actions import (
    InvoiceView,
    SubscriptionView,
    invoices_of,
    link_of_customer,
    require_gateway,
    subscription_of,
)
from tollhouse.billing.applying import FenceLost, ends_at
from tollhouse.billing.comparing import Difference, what_differs
from tollhouse.billing.linking import link_of_stripe
from tollhouse.billing.looking import look
from tollhouse.billing.model import Invoice, Link, PriceFacts, Purchase, Snapshot, Subscription
from tollhouse.billing.packs import ONCE, has_arrived
from tollhouse.billing.payments import PaymentView, payments_of
from tollhouse.billing.stripe import StripeGateway
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import TollhouseError, Unavailable
from tollhouse.kernel.money import Money
from tollhouse.store import Sql, Store, Tx, cell_of

MOST = 100
LOOKS = 3
PATIENCE_SECONDS = 20.0
_MOMENTS = ("_at", "_start", "_end")
_PAGES = Sql(
    "select id, plan, created_at, completed_at, expired_at, expires_at from checkout_session where cell = :cell"
    " and customer = :customer and every = :every order by created_at desc, id desc limit :most"
)


class PackPage(msgspec.Struct, frozen=True):
    """A Checkout page of a pack: `granted`, `awaited` (completed, and the credits have not come), `expired` or `open`."""

    session: str
    pack: str
    status: str
    opened_at: int


class Ours(msgspec.Struct, frozen=True):
    """What our books keep, the newest first."""

    subscription: SubscriptionView | None
    invoices: list[InvoiceView]
    payments: list[PaymentView]
    packs: list[PackPage]


class LivePrice(msgspec.Struct, frozen=True):
    """One line of a subscription at Stripe."""

    price: str
    amount: Money
    every: str
    quantity: int


class LiveSubscription(msgspec.Struct, frozen=True):
    """A subscription at Stripe. `differs`: ours is not the same. Times in ms."""

    id: str
    status: str
    prices: list[LivePrice]
    created_at: int
    period_start: int | None
    period_end: int | None
    cancel_at: int | None
    ended_at: int | None
    differs: bool


class LiveInvoice(msgspec.Struct, frozen=True):
    """An invoice at Stripe; as `LiveSubscription`."""

    id: str
    number: str | None
    status: str
    due: Money
    paid: Money
    created_at: int
    paid_at: int | None
    differs: bool


class LivePack(msgspec.Struct, frozen=True):
    """A paid Checkout session of a pack at Stripe; as `LiveSubscription`."""

    session: str
    pack: str
    paid: Money
    paid_at: int
    differs: bool


class Live(msgspec.Struct, frozen=True):
    """What Stripe says now, the newest first; `differences` are those that `reconcile` would repair."""

    asked_at: int
    took_ms: int
    subscriptions: list[LiveSubscription]
    invoices: list[LiveInvoice]
    packs: list[LivePack]
    differences: list[Difference]


class Silence(msgspec.Struct, frozen=True):
    """Why there is no record of Stripe's, and what helps."""

    code: str
    detail: str
    fix: str


class Beside(msgspec.Struct, frozen=True):
    """Both. `stripe` is None with the reason in `silence`; both are None for one that never opened Checkout."""

    customer: str
    stripe_customer: str | None
    ours: Ours
    stripe: Live | None
    silence: Silence | None


async def read_beside(store: Store, catalog: Catalog, gateway: StripeGateway | None, customer: str) -> Beside:
    """All of it, of a customer that exists. Never fails because Stripe does."""
    async with store.reading() as tx:
        link = await link_of_customer(tx, customer)
        ours = Ours(
            await subscription_of(tx, customer), await invoices_of(tx, customer, MOST),
            await payments_of(tx, customer, MOST), await _packs(tx, customer, store.clock.now_ms()),
        )  # fmt: skip
    if link is None:
        return Beside(customer, None, ours, None, None)
    try:
        live = await _asked(store, catalog, require_gateway(gateway), link)
    except TollhouseError as error:
        return Beside(customer, link.id, ours, None, Silence(error.code, error.detail, error.fix or ""))
    return Beside(customer, link.id, ours, live, None)


def told(beside: Beside) -> Any:
    """It as plain values for machines, each moment written as RFC 3339."""
    return _told(msgspec.to_builtins(beside))


async def _asked(store: Store, catalog: Catalog, gateway: StripeGateway, link: Link) -> Live:
    asked_at = store.clock.now_ms()
    for _ in range(LOOKS):
        begun = time.monotonic()
        snapshot = await _look(store, catalog, gateway, link)
        took_ms = round((time.monotonic() - begun) * 1000)
        try:
            differences = await what_differs(store, catalog, link, snapshot, store.clock.now_ms())
        except FenceLost:  # an event was applied meanwhile: the look is older than our books
            async with store.reading() as tx:
                link = await link_of_stripe(tx, link.id) or link
            continue
        return _live(snapshot, differences, asked_at, took_ms)
    raise Unavailable(
        f"{link.id} changes faster than it can be compared", code="fence_lost", fix="ask again in a moment"
    )


async def _look(store: Store, catalog: Catalog, gateway: StripeGateway, link: Link) -> Snapshot:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await look(store, catalog, gateway, link, packs=True, refunds=True)
    except TimeoutError:
        raise Unavailable(
            f"Stripe has not answered within {PATIENCE_SECONDS:.0f} s", code="stripe_unavailable",
            fix="look at status.stripe.com and whether this machine reaches api.stripe.com, then ask again",
        ) from None  # fmt: skip


async def _packs(tx: Tx, customer: str, now: int) -> list[PackPage]:
    found = []
    for row in await tx.fetch(_PAGES, cell=cell_of(customer), customer=customer, every=ONCE, most=MOST):
        if await has_arrived(tx, customer, row["id"]):
            status = "granted"
        elif row["expired_at"] is not None:
            status = "expired"
        elif row["completed_at"] is not None:
            status = "awaited"
        else:
            status = "open" if row["expires_at"] > now else "expired"
        found.append(PackPage(row["id"], row["plan"], status, row["created_at"]))
    return found


def _live(snapshot: Snapshot, differences: tuple[Difference, ...], asked_at: int, took_ms: int) -> Live:
    # A field begins with the id of what it is about.
    different = {found.field.partition(" ")[0] for found in differences}
    subscriptions = sorted(snapshot.subscriptions, key=lambda one: (-one.created_at, one.id))
    invoices = sorted(snapshot.invoices, key=lambda one: (-one.created_at, one.id))
    purchases = sorted(snapshot.purchases, key=lambda one: (-one.paid_at, one.session))
    return Live(
        asked_at, took_ms, [_subscription(one, one.id in different) for one in subscriptions],
        [_invoice(one, one.id in different) for one in invoices],
        [_pack(one, one.session in different) for one in purchases], list(differences),
    )  # fmt: skip


def _subscription(found: Subscription, differs: bool) -> LiveSubscription:
    item = found.items[0] if found.items else None
    prices = [
        LivePrice(one.price.id, Money(one.price.amount_minor, one.price.currency), _every(one.price), one.quantity)
        for one in found.items
    ]
    return LiveSubscription(
        found.id, found.status, prices, found.created_at, item.period_start if item else None,
        item.period_end if item else None, ends_at(found, item.period_end) if item else found.cancel_at, found.ended_at,
        differs,
    )  # fmt: skip


def _every(price: PriceFacts) -> str:
    return price.every if price.interval_count == 1 else f"{price.interval_count} {price.every}s"


def _invoice(found: Invoice, differs: bool) -> LiveInvoice:
    return LiveInvoice(
        found.id, found.number, found.status, Money(found.amount_due_minor, found.currency),
        Money(found.amount_paid_minor, found.currency), found.created_at, found.paid_at, differs,
    )  # fmt: skip


def _pack(found: Purchase, differs: bool) -> LivePack:
    return LivePack(found.session, found.pack, found.paid, found.paid_at, differs)


def _told(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _told(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_told(part) for part in value]
    is_moment = isinstance(value, int) and (name == "at" or name.endswith(_MOMENTS))
    return rfc3339(value) if is_moment else value
