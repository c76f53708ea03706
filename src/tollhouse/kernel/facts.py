"""Facts: typed messages between rooms, written to the outbox in the transaction that made them true."""

import msgspec


class Fact(msgspec.Struct, frozen=True, tag_field="fact"):
    """Something that happened. Subclasses name it; the outbox stores it as JSON with its tag."""


class MailRequested(Fact, frozen=True, tag="mail.requested"):
    """An e-mail has to go out: a template of `alerts/`, its address, language and values."""

    template: str
    to: str
    locale: str
    values: dict[str, str]


class PlanChanged(Fact, frozen=True, tag="customer.plan.changed"):
    """A customer is on another plan."""

    customer: str
    before: str
    after: str
    at_ms: int


class CustomerCreated(Fact, frozen=True, tag="customer.created"):
    """Somebody is a customer: signed up on the pages, or named by the product's own server or staff (`made_by`)."""

    customer: str
    made_by: str
    plan: str


class SubscriptionStarted(Fact, frozen=True, tag="subscription.started"):
    """A customer subscribed; `every` is month or year."""

    customer: str
    subscription: str
    plan: str
    every: str


class SubscriptionEnded(Fact, frozen=True, tag="subscription.ended"):
    """A customer's subscription is over."""

    customer: str
    subscription: str
    plan: str


class PaymentSucceeded(Fact, frozen=True, tag="payment.succeeded"):
    """A customer paid; the amount is in minor units, tax included. `invoice` is a pack's Checkout session where it has none."""

    customer: str
    invoice: str
    amount_minor: int
    currency: str


class PaymentFailed(Fact, frozen=True, tag="payment.failed"):
    """A customer's payment failed; the amount is in minor units. `invoice` is a pack's Checkout session where it has none;
    `payment` is Stripe's intent, where it pays no invoice.
    """

    customer: str
    invoice: str
    amount_minor: int
    currency: str
    declined: bool
    payment: str = ""


class ReceiptRequested(Fact, frozen=True, tag="receipt.requested"):
    """A paid invoice has to be told to its customer, with its PDF where that is there; read when it is sent."""

    customer: str
    invoice: str


class LanguageChosen(Fact, frozen=True, tag="customer.language.chosen"):
    """A customer reads another language from now on; Stripe writes its invoices in it."""

    customer: str
    locale: str


class BalanceThreshold(Fact, frozen=True, tag="balance.threshold"):
    """So many percent of what a customer had on a meter are used; once per period of a quota, once per lot of credits.
    Amounts are scaled by `decimals`.
    """

    customer: str
    meter: str
    percent: int
    total: int
    used: int
    remaining: int
    decimals: int
    resets_at: int | None


class BalanceExhausted(Fact, frozen=True, tag="balance.exhausted"):
    """Nothing is left on a customer's meter; once per period of a quota, once per lot of credits. Amounts are scaled."""

    customer: str
    meter: str
    total: int
    used: int
    remaining: int
    decimals: int
    resets_at: int | None


class OperatorAlert(Fact, frozen=True, tag="operator.alert"):
    """Something that staff must look at; `key` groups repetitions."""

    key: str
    severity: str
    title: str
    detail: str
    fix: str


class AlertTold(Fact, frozen=True, tag="alert.told"):
    """Alerts that go to the receiver of webhooks; `kind` is opened, reminder or ended."""

    kind: str
    alerts: list[dict[str, str]]
