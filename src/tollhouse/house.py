"""The built house: what `bootstrap` makes once and every entrance receives. It holds things, and no rule."""

from dataclasses import dataclass

from tollhouse.admission.desk import Admission
from tollhouse.billing.checks import WebhookLog
from tollhouse.billing.stripe.gateway import StripeGateway
from tollhouse.catalog.model import Catalog
from tollhouse.customers.directory import Directory
from tollhouse.customers.keyring import KeyRing
from tollhouse.identity.desk import IdentityDesk
from tollhouse.settings import Settings
from tollhouse.store.bells import Bells
from tollhouse.store.opening import AnyStore


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
