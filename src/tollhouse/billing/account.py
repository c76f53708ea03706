"""What a Stripe account holds besides customers: itself, products, webhook endpoints, portal configurations."""

import hashlib

import msgspec

HANDLED_EVENTS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.deleted",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "charge.refunded",
    "charge.dispute.closed",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "setup_intent.succeeded",
)
"""The types of event that an endpoint of ours asks for. At most 20: `GET /v1/events` takes no more at once."""

WEBHOOK_PATH = "/webhooks/stripe"
PRODUCT_KEY = "tollhouse_product"
SECRET_KEY = "tollhouse_secret"
"""Keys of the metadata on an endpoint and a portal configuration: whose they are, and the fingerprints of its secrets."""
ROLLBACK_KEY = "tollhouse_rollback"
"""On an endpoint: which roll-back disabled it."""

PROBE_TYPE = "tollhouse.probe"
"""A signed event of our own making: an instance that verifies it answers as to any other, and keeps nothing."""


class AccountFacts(msgspec.Struct, frozen=True):
    """Whose key it is. `answered_at` is Stripe's own clock (ms), None where the answer was not dated."""

    id: str
    name: str
    charges_enabled: bool
    answered_at: int | None = None


class ProductFacts(msgspec.Struct, frozen=True):
    """A product as Stripe has it."""

    id: str
    name: str = ""
    description: str = ""
    active: bool = True
    metadata: dict[str, str] = {}


class EndpointFacts(msgspec.Struct, frozen=True):
    """A webhook endpoint as Stripe has it. `secret` only in the answer that made it."""

    id: str
    url: str
    enabled: bool
    events: tuple[str, ...]
    api_version: str | None = None
    metadata: dict[str, str] = {}
    secret: str | None = None

    def lacks(self) -> list[str]:
        """The types of event that it does not ask for."""
        return [] if "*" in self.events else [name for name in HANDLED_EVENTS if name not in self.events]

    @property
    def rolled_back(self) -> str | None:
        """The roll-back that disabled it, as long as it is disabled."""
        return None if self.enabled else self.metadata.get(ROLLBACK_KEY)

    def marks(self) -> set[str]:
        """The fingerprints of its secrets, as far as setup knows them."""
        return set(filter(None, self.metadata.get(SECRET_KEY, "").split(",")))


class PortalFacts(msgspec.Struct, frozen=True):
    """A configuration of the customer portal as Stripe has it; `features` in Stripe's own shape."""

    id: str
    features: dict[str, object]
    is_default: bool = False
    metadata: dict[str, str] = {}
    headline: str | None = None


def fingerprint(secret: str) -> str:
    """Tells one signing secret from another without giving any away: half of the 192 random bits are left."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
