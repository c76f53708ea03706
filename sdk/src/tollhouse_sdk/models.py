"""What is asked and what is answered. Amounts are exact Decimals in the meters' own units; times are aware datetimes.

Fields that a newer server adds are ignored, so that an older client goes on working.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, Self

import msgspec

from tollhouse_sdk.errors import ApiError, Refused

Amounts = Mapping[str, Decimal | int]
"""An amount by meter. Floats are refused: they are not exact."""

OnExpiry = Literal["return", "charge"]


class Meter(msgspec.Struct, frozen=True):
    """One meter of a customer. None stands for unlimited (`total`, `remaining`) and for never (`resets_at`)."""

    total: Decimal | None
    used: Decimal
    remaining: Decimal | None
    resets_at: datetime | None = None


class Upgrade(msgspec.Struct, frozen=True):
    """The plan that would allow it, and the page that sells it."""

    plan: str
    url: str


class Reason(msgspec.Struct, frozen=True):
    """Why an action was refused. `code` is one of the refusal codes of the contract; `retry_after` is in seconds."""

    code: str
    meter: str | None = None
    needed: Decimal | None = None
    remaining: Decimal | None = None
    resets_at: datetime | None = None
    upgrade: Upgrade | None = None
    retry_after: int | None = None
    verify_email: bool = False


class Lease(msgspec.Struct, frozen=True):
    """A slot: until when it is kept, and how often it wants a heartbeat (seconds)."""

    expires_at: datetime
    heartbeat_every: float


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item of `admit_batch`. `key` makes it once only; one is made where none is given."""

    customer: str
    action: str
    key: str | None = None
    amount: dict[str, Decimal | int] | None = None
    metadata: dict[str, object] | None = None


class Admission(msgspec.Struct, frozen=True):
    """The decision on one action. Allowed: debited already, durably. Refused: nothing was debited, `reason` says why."""

    allowed: bool
    id: str | None = None
    replayed: bool = False
    debits: dict[str, Decimal] = {}
    meters: dict[str, Meter] = {}
    reason: Reason | None = None
    lease: Lease | None = None

    def require(self) -> Self:
        """Itself when it is allowed. Raises Refused."""
        if not self.allowed:
            raise Refused(self)
        return self

    @property
    def admitted_id(self) -> str:
        """The id of an allowed admission. Raises Refused."""
        if self.id is None:
            raise Refused(self)
        return self.id


class Hold(Admission, frozen=True):
    """An admission to be settled later; `expires_at` is when it ends by itself."""

    expires_at: datetime | None = None


BatchAnswer = Admission | ApiError
"""The answer to one item of a batch; an error spoils its own item only."""


class HoldResult(msgspec.Struct, frozen=True):
    """What became of a hold. `shortfall` is what it cost beyond what the customer had."""

    id: str
    status: str
    charged: dict[str, Decimal] = {}
    returned: dict[str, Decimal] = {}
    shortfall: dict[str, Decimal] = {}
    meters: dict[str, Meter] = {}
    expires_at: datetime | None = None
    replayed: bool = False


class Refund(msgspec.Struct, frozen=True):
    """What came back. `lost` belonged to a lot or a period that is over: given back, and of no use any more."""

    id: str
    admission: str
    returned: dict[str, Decimal]
    lost: dict[str, Decimal] = {}
    meters: dict[str, Meter] = {}
    replayed: bool = False


class Heartbeat(msgspec.Struct, frozen=True):
    """The slot is kept. `retaken` when it had been lost and a free one was taken again."""

    id: str
    lease: Lease
    retaken: bool = False


class Ended(msgspec.Struct, frozen=True):
    """The slot is free. `seconds` is how long it was kept."""

    id: str
    ended_at: datetime
    seconds: int
    meters: dict[str, Meter] = {}


class Customer(msgspec.Struct, frozen=True):
    """A customer with its plan, standing (good, past_due, blocked) and meters, at one moment.

    `past_due_at`: a payment failed, and the standing turns past due then unless it is made before.
    """

    id: str
    email: str
    plan: str
    standing: str
    created_at: datetime
    external_id: str | None = None
    name: str = ""
    city: str = ""
    locale: str = ""
    verified: bool = False
    meters: dict[str, Meter] = {}
    past_due_at: datetime | None = None


class Price(msgspec.Struct, frozen=True):
    """Minor units (cents) of a currency such as `usd`; `every` is `month` or `year`, None for what is paid once."""

    amount: int
    currency: str
    every: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """A plan as it is sold now. `limits`: None is unlimited. `credits`: granted each time its period is paid."""

    plan: str
    version: int
    title: str
    limits: dict[str, Decimal | None] = {}
    credits: dict[str, Decimal] = {}
    prices: list[Price] = []


class Pack(msgspec.Struct, frozen=True):
    """Credits that are bought once, at one price for each currency. `expires_after_seconds` counts from the payment."""

    pack: str
    title: str
    description: str = ""
    credits: dict[str, Decimal] = {}
    prices: list[Price] = []
    expires_after_seconds: int | None = None


class Catalog(msgspec.Struct, frozen=True):
    """What is sold: plans from the smallest to the largest, and packs."""

    product: str
    free_plan: str
    plans: list[Plan] = []
    packs: list[Pack] = []


class CheckoutPage(msgspec.Struct, frozen=True):
    """The address of a Checkout page, to which the customer's browser is sent."""

    url: str


class Project(msgspec.Struct, frozen=True):
    """A project and its public key (`th_pk_…`), which may stand in pages."""

    id: str
    name: str
    created_at: datetime
    key: str
    replayed: bool = False


class ProjectList(msgspec.Struct, frozen=True):
    """A customer's projects, the oldest first."""

    items: list[Project]


class Entry(msgspec.Struct, frozen=True):
    """One line of a customer's book. Negative deltas were taken; `about` is the admission or hold that it refers to."""

    id: str
    kind: str
    action: str
    at: datetime
    deltas: dict[str, Decimal] = {}
    remaining: dict[str, Decimal] = {}
    metadata: dict[str, object] = {}
    about: str | None = None


class EntryPage(msgspec.Struct, frozen=True):
    """Entries, the newest first; `next` is the `after` of the page that follows, None at the end."""

    entries: list[Entry]
    next: str | None = None


class Paid(msgspec.Struct, frozen=True):
    """What was paid: minor units (cents) of a currency such as `usd`."""

    amount: int
    currency: str


class Grant(msgspec.Struct, frozen=True):
    """The lot that was granted."""

    id: str
    lot: str
    meter: str
    amount: Decimal
    expires_at: datetime | None = None
    replayed: bool = False
