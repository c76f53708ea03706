"""Billing in our own words: what Stripe says about one customer, and what our prices are there.

Times are milliseconds since 1970 in UTC, money is minor units of a lower-case currency. Nothing here knows the SDK.
"""

import msgspec

from tollhouse.kernel.money import Money

LIVE_STATUSES = frozenset({"active", "trialing", "past_due", "unpaid", "paused"})
"""A subscription in one of these has begun and has not ended (docs.stripe.com/billing/subscriptions/overview)."""

OWING_STATUSES = frozenset({"past_due", "unpaid", "paused"})
"""Live, and nothing more is admitted until it is paid."""

WAITING_STATUSES = frozenset({"open", "processing", "action_required"})
"""An invoice in one of these waits for its payment, or for what has been asked of the bank or the card's owner."""

OWED_STATUSES = WAITING_STATUSES | {"uncollectible"}
"""An invoice in one of these has left its draft and is not paid."""

CUSTOMER_KEY = "tollhouse_customer"
PLAN_KEY = "tollhouse_plan"
VERSION_KEY = "tollhouse_plan_version"
OPENED_KEY = "tollhouse_opened"
SETUP_KEY = "tollhouse_setup_intent"
QUOTE_KEY = "tollhouse_quote"
PACK_KEY = "tollhouse_pack"
PACK_METER_KEY = "tollhouse_pack_meter"
PACK_AMOUNT_KEY = "tollhouse_pack_amount"
PACK_EXPIRY_KEY = "tollhouse_pack_expires_after_ms"
"""Keys of the metadata that we write on Stripe's objects."""


OTHER_SUBJECT = "object:"
"""Begins the subject of an event that is about no customer."""


class PriceFacts(msgspec.Struct, frozen=True):
    """A price as Stripe has it. `every` is `month`, `year`, another of Stripe's intervals, or empty for a single payment."""

    id: str
    product: str
    currency: str
    amount_minor: int
    every: str
    interval_count: int = 1
    lookup_key: str | None = None
    active: bool = True


class SoldPrice(msgspec.Struct, frozen=True):
    """A price of Stripe's, and the plan version that is bought with it."""

    id: str
    product: str
    plan: str
    version: int
    every: str
    currency: str
    amount_minor: int
    lookup_key: str | None = None


class Item(msgspec.Struct, frozen=True):
    """One line of a subscription, in its current period."""

    id: str
    price: PriceFacts
    quantity: int
    period_start: int
    period_end: int


class LaterPrice(msgspec.Struct, frozen=True):
    """A change that is agreed and has not come yet: the price's id, and when (a subscription schedule's next phase)."""

    price: str
    at: int


class Subscription(msgspec.Struct, frozen=True):
    """A subscription as Stripe has it now."""

    id: str
    status: str
    created_at: int
    anchor: int
    items: tuple[Item, ...]
    currency: str
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    canceled_at: int | None = None
    ended_at: int | None = None
    trial_end: int | None = None
    metadata: dict[str, str] = {}
    later: LaterPrice | None = None
    sends_invoices: bool = False  # its customer pays by transfer, by a due date; else it is charged by itself

    @property
    def live(self) -> bool:
        return self.status in LIVE_STATUSES


class InvoiceLine(msgspec.Struct, frozen=True):
    """One line of an invoice: `amount_minor` is what was asked for it after discounts, without any tax."""

    id: str
    amount_minor: int
    currency: str
    price: str | None
    product: str | None
    subscription: str | None
    proration: bool
    period_start: int
    period_end: int
    description: str = ""


class Invoice(msgspec.Struct, frozen=True):
    """An invoice as Stripe has it now. `status`: draft, open, paid, uncollectible or void.

    An open one is told apart: `processing` while a bank has been asked for the payment and has not answered, and
    `action_required` while its customer has to confirm it with the bank.

    `net_minor` and `tax_minor` add up to its total; what is due or paid of that may be less (a customer's balance).
    `credited_minor` is what credit notes took off; None for nothing.
    """

    id: str
    status: str
    reason: str
    subscription: str | None
    created_at: int
    currency: str
    amount_due_minor: int
    amount_paid_minor: int
    net_minor: int
    tax_minor: int
    attempts: int
    lines: tuple[InvoiceLine, ...]
    paid_at: int | None = None
    number: str | None = None
    next_attempt_at: int | None = None
    page_url: str | None = None
    pdf_url: str | None = None
    credited_minor: int | None = None
    finalized_at: int | None = None  # when it left its draft and was first tried


class StripeCustomer(msgspec.Struct, frozen=True):
    """A customer as Stripe has it."""

    id: str
    email: str | None = None
    deleted: bool = False
    metadata: dict[str, str] = {}


class Purchase(msgspec.Struct, frozen=True):
    """A paid Checkout session of a pack, as it was sold. `amount` is scaled, `paid` is without tax.

    `payment`: its payment intent, of `charged_minor` with tax; none where nothing was to be paid.
    """

    session: str
    pack: str
    meter: str
    amount: int
    paid: Money
    paid_at: int
    expires_at: int | None = None
    payment: str | None = None
    charged_minor: int = 0


class AwaitedPack(msgspec.Struct, frozen=True):
    """A Checkout session of a pack that is complete and not paid: the bank has been asked, or has refused (`failed`).

    `payment`: its payment intent.
    """

    session: str
    payment: str
    pack: str
    due: Money
    failed: bool


class Snapshot(msgspec.Struct, frozen=True):
    """Everything Stripe says about one customer at one moment, each list read to its end."""

    customer: str
    subscriptions: tuple[Subscription, ...]
    invoices: tuple[Invoice, ...]
    prices: dict[str, PriceFacts] = {}  # of the lines whose price no subscription has any more
    purchases: tuple[Purchase, ...] = ()
    awaited: tuple[AwaitedPack, ...] = ()
    refunded: dict[str, int] | None = None  # by invoice, else payment: given back or lost; None: not looked at

    def facts_of_prices(self) -> dict[str, PriceFacts]:
        """Every price that is known from this look, by id."""
        seen = {item.price.id: item.price for subscription in self.subscriptions for item in subscription.items}
        return {**self.prices, **seen}


class CheckoutSession(msgspec.Struct, frozen=True):
    """A Checkout page: `open`, `complete` or `expired`; `url` only while it is open.

    `opened_at` is to the millisecond, so that two pages of one second have an order that everybody agrees on.
    """

    id: str
    status: str
    opened_at: int
    expires_at: int
    url: str | None = None
    mode: str = "subscription"
    currency: str | None = None


class Payment(msgspec.Struct, frozen=True):
    """A payment intent as Stripe has it now. `failure` is what its last attempt failed of, in Stripe's words to people;
    `declined`: it was the card or its owner, not us."""

    id: str
    customer: str | None
    status: str
    amount_minor: int
    currency: str
    created_at: int
    invoice: str | None = None
    charge: str | None = None
    failure_code: str | None = None
    failure: str | None = None
    declined: bool = False


class Setup(msgspec.Struct, frozen=True):
    """A setup intent as Stripe has it now: a card to be kept for later, its payment method once there is one."""

    id: str
    customer: str | None
    status: str
    payment_method: str | None = None


class WebhookEvent(msgspec.Struct, frozen=True):
    """What is read of an incoming event; everything else is fetched, whatever version it was written in.

    `subject` is the Stripe customer whose state it is about, else `object:` and the object's own id.
    """

    id: str
    type: str
    subject: str
    live_mode: bool
    created_at: int
    object_id: str | None = None
    subscription: str | None = None
    charge: str | None = None


class Stated(msgspec.Struct, frozen=True):
    """What an event says of a subscription at its moment, and in `was_…` what that was before where it has changed."""

    subscription: str
    status: str
    over: bool
    period_start: int
    prices: tuple[str, ...]
    canceling: bool
    was_prices: tuple[str, ...] | None = None
    was_canceling: bool | None = None
    was_status: str | None = None


class Link(msgspec.Struct, frozen=True):
    """Which of our customers a Stripe customer is; `sync_seq` is the fence that `applying.apply` passes once."""

    id: str
    customer: str
    sync_seq: int
