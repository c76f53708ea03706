"""Customers, members, projects and keys as typed structs. Times are milliseconds since 1970 in UTC."""

from typing import Literal

import msgspec

from tollhouse.identity.model import NewSession, User
from tollhouse.ledger.model import EntryKind, LotSource, Standing
from tollhouse.ledger.views import Amount, MeterView

MadeBy = Literal["api", "pages", "staff"]


class Customer(msgspec.Struct, frozen=True):
    """Who has a plan and pays. `verified_at`: since when the e-mail address is believed."""

    id: str
    external_id: str | None
    email: str
    name: str
    city: str
    locale: str
    made_by: MadeBy
    created_at: int
    verified_at: int | None


class NewCustomer(msgspec.Struct, frozen=True):
    """What the product's own server says about a customer; checked by `create_or_get`."""

    email: str
    external_id: str | None = None
    name: str = ""
    city: str = ""
    locale: str = ""


class SignUp(msgspec.Struct, frozen=True):
    """What somebody typed to sign up, without the password; checked by `sign_up`."""

    email: str
    name: str = ""
    city: str = ""
    locale: str = ""


class Created(msgspec.Struct, frozen=True):
    """The customer that was asked for, and whether it is new."""

    customer: str
    created: bool


class SignedUp(msgspec.Struct, frozen=True):
    """A user who has just signed up, with an open session.

    `customer` is None when a customer of the product's server has this address: it is theirs once they have proven it.
    """

    user: User
    session: NewSession
    customer: str | None


class Verified(msgspec.Struct, frozen=True):
    """A user whose address is proven, and the customer they own."""

    user: User
    customer: str | None


class Project(msgspec.Struct, frozen=True):
    """One of a customer's projects, with its public key."""

    id: str
    name: str
    created_at: int
    key: str
    replayed: bool = False


class ProjectOwner(msgspec.Struct, frozen=True):
    """Whose a public key is."""

    customer: str
    project: str


class SecretKey(msgspec.Struct, frozen=True):
    """A secret key as it is listed: never the key itself, only its last four characters."""

    id: str
    name: str
    last4: str
    created_at: int
    revoked_at: int | None = None


class NewSecretKey(msgspec.Struct, frozen=True):
    """A secret key just made. `key` is shown this once and kept nowhere."""

    id: str
    name: str
    key: str

    def __repr__(self) -> str:
        return f"NewSecretKey({self.id!r}, {self.name!r})"


class CustomerView(msgspec.Struct, frozen=True):
    """A customer as clients see it, at one moment."""

    id: str
    external_id: str | None
    email: str
    name: str
    city: str
    locale: str
    verified: bool
    plan: str
    standing: Standing
    created_at: str
    meters: dict[str, MeterView]
    past_due_at: str | None = None
    """A payment failed: past due from then on, unless it is made before (the time of grace)."""


class EntryView(msgspec.Struct, frozen=True):
    """One line of the book as clients see it. Amounts are in the meters' own units; negative deltas were taken.

    `remaining` is what was left after it on the credits meter; empty when the catalogue has several of these.
    `about` is the admission or hold that it refers to.
    """

    id: str
    kind: EntryKind
    action: str
    at: str
    deltas: dict[str, Amount]
    remaining: dict[str, Amount]
    metadata: dict[str, object]
    about: str | None = None


class EntryPage(msgspec.Struct, frozen=True):
    """Entries, newest first; `next` is the `after` of the next page, None at the end."""

    entries: list[EntryView]
    next: str | None


class LotMoney(msgspec.Struct, frozen=True):
    """What was paid for a lot, net of tax and discounts, in minor units. The other three always add up to `paid`.

    `deferred`: for credits that are still to be spent; `earned`: for those that were spent or have ended.
    """

    currency: str
    paid: int
    deferred: int
    earned: int
    refunded: int


class LotView(msgspec.Struct, frozen=True):
    """One granted amount of credits. `value` is null where nothing was paid, and for what was carried over from other
    lots (`carried_over`): that money stands at those.
    """

    id: str
    meter: str
    source: LotSource
    amount: Amount
    remaining: Amount
    granted_at: str
    expires_at: str | None
    reason: str
    carried_over: bool
    value: LotMoney | None


class LotPage(msgspec.Struct, frozen=True):
    """Lots, newest first; `next` is the `after` of the next page, None at the end."""

    lots: list[LotView]
    next: str | None
