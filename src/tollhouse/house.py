"""The built house: what `bootstrap` makes once and every entrance receives. It holds things, and no rule."""

from dataclasses import dataclass, field

from tollhouse.admission.desk import Admission
from tollhouse.billing.checks import WebhookLog
from tollhouse.billing.desk import Desk
from tollhouse.billing.intake import Intake
from tollhouse.billing.last_health import LastHealth
from tollhouse.billing.stripe.gateway import StripeGateway
from tollhouse.catalog.model import Catalog
from tollhouse.customers.directory import Directory
from tollhouse.customers.keyring import KeyRing
from tollhouse.identity.desk import IdentityDesk
from tollhouse.identity.throttle import Throttle
from tollhouse.kernel.clock import MINUTE
from tollhouse.settings import Settings
from tollhouse.store.bells import Bells
from tollhouse.store.opening import AnyStore

WRONG_CREDENTIALS_A_MINUTE = 50


def strangers_throttle() -> Throttle:
    """So many wrong credentials from one network are answered; then they wait, up to a minute."""
    return Throttle(free=WRONG_CREDENTIALS_A_MINUTE, longest_pause_ms=MINUTE)


@dataclass(frozen=True)
class House:
    """Settings, catalogue, store, and the rooms that keep something in memory."""

    settings: Settings
    catalog: Catalog
    store: AnyStore
    admission: Admission
    identity: IdentityDesk
    directory: Directory
    keys: KeyRing
    bells: Bells
    stripe: StripeGateway | None
    webhooks: WebhookLog
    intake: Intake
    operations: Desk
    strangers: Throttle = field(default_factory=strangers_throttle)
    payment_health: LastHealth = field(default_factory=LastHealth)
