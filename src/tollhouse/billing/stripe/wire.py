"""The fields of Stripe's objects that we read, in the shapes of the API versions that we understand.

Where versions differ, both fields stand here as optional: before 2025-03-31.basil a period stood on the subscription
itself and a line's price on the line (docs.stripe.com/changelog/basil).
"""

from typing import Generic, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Identified(Protocol):
    """Whatever has an id."""

    @property
    def id(self) -> str: ...


class Named(msgspec.Struct, frozen=True):
    """An object of which only the id matters."""

    id: str


Reference = str | Named


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A list of Stripe's, or one page of it."""

    data: list[T]
    has_more: bool = False


class Recurring(msgspec.Struct, frozen=True):
    interval: str
    interval_count: int = 1


class Price(msgspec.Struct, frozen=True):
    id: str
    product: Reference
    currency: str
    unit_amount: int | None = None
    lookup_key: str | None = None
    recurring: Recurring | None = None
    active: bool = True


class Product(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    description: str | None = None
    active: bool = True
    metadata: dict[str, str] = {}


class Profile(msgspec.Struct, frozen=True):
    """The business profile of an account, or that of a portal configuration."""

    name: str | None = None
    headline: str | None = None


class Account(msgspec.Struct, frozen=True):
    id: str
    business_profile: Profile | None = None
    charges_enabled: bool = False
    email: str | None = None


class WebhookEndpoint(msgspec.Struct, frozen=True):
    id: str
    url: str
    status: str
    enabled_events: list[str]
    api_version: str | None = None
    metadata: dict[str, str] = {}
    secret: str | None = None


class PortalConfiguration(msgspec.Struct, frozen=True):
    id: str
    features: dict[str, object] = {}
    is_default: bool = False
    metadata: dict[str, str] | None = None
    business_profile: Profile | None = None


class SubscriptionItem(msgspec.Struct, frozen=True):
    id: str
    price: Price
    quantity: int | None = None
    current_period_start: int | None = None
    current_period_end: int | None = None


class PhaseItem(msgspec.Struct, frozen=True):
    price: Reference


class Phase(msgspec.Struct, frozen=True):
    start_date: int
    items: list[PhaseItem]


class CurrentPhase(msgspec.Struct, frozen=True):
    end_date: int


class Schedule(msgspec.Struct, frozen=True):
    phases: list[Phase]
    current_phase: CurrentPhase | None = None


class Subscription(msgspec.Struct, frozen=True):
    id: str
    status: str
    created: int
    billing_cycle_anchor: int
    items: Page[SubscriptionItem]
    currency: str
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    canceled_at: int | None = None
    ended_at: int | None = None
    trial_end: int | None = None
    current_period_start: int | None = None
    current_period_end: int | None = None
    metadata: dict[str, str] = {}
    schedule: Schedule | str | None = None
    collection_method: str = "charge_automatically"
    customer: Reference | None = None


class PriceDetails(msgspec.Struct, frozen=True):
    price: Reference | None = None
    product: Reference | None = None


class Pricing(msgspec.Struct, frozen=True):
    price_details: PriceDetails | None = None


class ItemDetails(msgspec.Struct, frozen=True):
    subscription: str | None = None
    proration: bool = False


class LineParent(msgspec.Struct, frozen=True):
    subscription_item_details: ItemDetails | None = None
    invoice_item_details: ItemDetails | None = None


class Period(msgspec.Struct, frozen=True):
    start: int
    end: int


class Discount(msgspec.Struct, frozen=True):
    amount: int


class Tax(msgspec.Struct, frozen=True):
    """A tax on a line or an invoice. Until 2025-03-31.basil `inclusive` stood in the place of `tax_behavior`."""

    amount: int
    tax_behavior: str | None = None
    inclusive: bool = False


class InvoiceLine(msgspec.Struct, frozen=True):
    id: str
    amount: int
    currency: str
    period: Period
    description: str | None = None
    discount_amounts: list[Discount] | None = None
    taxes: list[Tax] | None = None
    tax_amounts: list[Tax] | None = None
    parent: LineParent | None = None
    pricing: Pricing | None = None
    price: Price | None = None
    proration: bool = False
    subscription: Reference | None = None


class SubscriptionDetails(msgspec.Struct, frozen=True):
    subscription: Reference | None = None


class InvoiceParent(msgspec.Struct, frozen=True):
    subscription_details: SubscriptionDetails | None = None


class Transitions(msgspec.Struct, frozen=True):
    finalized_at: int | None = None
    paid_at: int | None = None


class Invoice(msgspec.Struct, frozen=True):
    id: str
    created: int
    currency: str
    lines: Page[InvoiceLine]
    amount_due: int = 0
    amount_paid: int = 0
    total: int = 0
    total_taxes: list[Tax] | None = None
    total_tax_amounts: list[Tax] | None = None
    attempt_count: int = 0
    status: str | None = None
    billing_reason: str | None = None
    number: str | None = None
    next_payment_attempt: int | None = None
    hosted_invoice_url: str | None = None
    invoice_pdf: str | None = None
    pre_payment_credit_notes_amount: int = 0
    post_payment_credit_notes_amount: int = 0
    parent: InvoiceParent | None = None
    subscription: Reference | None = None
    status_transitions: Transitions = Transitions()
    payment_intent: Reference | None = None  # before 2025-03-31.basil


class Charge(msgspec.Struct, frozen=True):
    """A payment. `invoice` stood on it before 2025-03-31.basil."""

    id: str
    amount: int = 0
    amount_refunded: int = 0
    disputed: bool = False
    customer: Reference | None = None
    payment_intent: Reference | None = None
    invoice: Reference | None = None


class Dispute(msgspec.Struct, frozen=True):
    id: str
    amount: int
    status: str


class PaymentIntent(msgspec.Struct, frozen=True):
    id: str
    status: str


class PaymentOfInvoice(msgspec.Struct, frozen=True):
    payment_intent: PaymentIntent | str | None = None


class InvoicePayment(msgspec.Struct, frozen=True):
    id: str
    invoice: Reference
    payment: PaymentOfInvoice = PaymentOfInvoice()


class Customer(msgspec.Struct, frozen=True):
    id: str
    email: str | None = None
    deleted: bool = False
    metadata: dict[str, str] = {}


class PaidCharge(msgspec.Struct, frozen=True):
    created: int


class PaidIntent(msgspec.Struct, frozen=True):
    """A session's payment, where it was asked for as a whole."""

    id: str
    status: str
    latest_charge: str | PaidCharge | None = None


class TotalDetails(msgspec.Struct, frozen=True):
    amount_tax: int = 0


class CheckoutSession(msgspec.Struct, frozen=True):
    id: str
    created: int
    expires_at: int
    status: str | None = None
    url: str | None = None
    metadata: dict[str, str] | None = None
    mode: str = "subscription"
    payment_status: str | None = None
    payment_intent: str | PaidIntent | None = None
    amount_total: int | None = None
    total_details: TotalDetails | None = None
    currency: str | None = None


class PortalSession(msgspec.Struct, frozen=True):
    url: str


class EventObject(msgspec.Struct, frozen=True):
    """The object of an event, of any type and version: who it is about."""

    object: str = ""
    id: str | None = None
    customer: Reference | None = None
    subscription: Reference | None = None
    parent: InvoiceParent | None = None
    charge: Reference | None = None


class EventData(msgspec.Struct, frozen=True):
    object: EventObject


class Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    data: EventData
    created: int
    livemode: bool = False


class PreviousItem(msgspec.Struct, frozen=True):
    price: Named


class PreviousAttributes(msgspec.Struct, frozen=True):
    """What a change of a subscription changed, as it was before."""

    status: str | None = None
    cancel_at_period_end: bool | None = None
    items: Page[PreviousItem] | None = None


class SubscriptionEventData(msgspec.Struct, frozen=True):
    object: Subscription
    previous_attributes: PreviousAttributes | None = None


class SubscriptionEvent(msgspec.Struct, frozen=True):
    type: str
    data: SubscriptionEventData
