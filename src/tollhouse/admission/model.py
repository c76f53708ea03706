"""What is asked of admission, and what it answers."""

from typing import Literal, Protocol

import msgspec

from tollhouse.ledger.views import Amount, MeterView, Reason

Operation = Literal["admit", "hold"]
OnExpiry = Literal["return", "charge"]


class LeaseView(msgspec.Struct, frozen=True):
    """A slot that is held: until when, and how often it wants a heartbeat (seconds)."""

    expires_at: str
    heartbeat_every: int


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to an admission, as in API.md. `id` is null when it was refused."""

    allowed: bool
    id: str | None
    replayed: bool | msgspec.UnsetType = msgspec.UNSET
    debits: dict[str, Amount] | msgspec.UnsetType = msgspec.UNSET
    reason: Reason | None = None
    meters: dict[str, MeterView] | msgspec.UnsetType = msgspec.UNSET
    lease: LeaseView | None = None
    expires_at: str | None = None  # of a hold


class HoldTerms(msgspec.Struct, frozen=True):
    """How long a hold lasts, and what happens when nobody settles it."""

    ttl_ms: int
    on_expiry: OnExpiry = "return"


class Waiter(Protocol):
    """Who waits for an answer, in the manner of an asyncio.Future (which is one): told once, in the event loop."""

    def done(self) -> bool:
        """Whether it has been told, or has gone away."""
        ...

    def set_result(self, result: "Outcome", /) -> None:
        """The answer."""
        ...

    def set_exception(self, error: BaseException, /) -> None:
        """Why there is none."""
        ...


class Ask(msgspec.Struct, eq=False):
    """One admission waiting in a lane. `cost` is scaled; `future` gets an `Outcome` or an exception."""

    customer: str
    action: str
    cost: dict[str, int]
    debits: dict[str, Amount]  # `cost` in the meters' own units
    operation: Operation
    key: str
    fingerprint: bytes
    deadline: float  # of the monotonic clock
    future: Waiter
    metadata: str | None = None
    terms: HoldTerms | None = None
    tried: tuple[bytes, ...] = ()  # answers that may have been saved when a connection was lost


class RateLimit(msgspec.Struct, frozen=True, gc=False):
    """What an answer says of a rate meter in its header fields: `left` of `limit` in `window_seconds`.

    `back_in_seconds` is until the oldest of what was used comes back, 0 when nothing was used.
    """

    meter: str
    left: int
    back_in_seconds: int
    limit: int
    window_seconds: int


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What the caller gets: the answer's JSON, and the shortest way to know what it says."""

    body: bytes
    allowed: bool
    code: str | None = None
    limit: RateLimit | None = None


class KnownKey(msgspec.Struct, frozen=True):
    """A key that has had its answer."""

    fingerprint: bytes
    answer: str


class Loaded(msgspec.Struct, frozen=True):
    """What one SELECT said: (version, document) by customer, keys seen before, customers with lapsed holds or leases."""

    accounts: dict[str, tuple[int, str]]
    keys: dict[tuple[str, str, str], KnownKey]
    due: set[str]
