"""The state of one customer (the document in its account row) and the entries of its book.

Amounts are scaled integers, times milliseconds since 1970 in UTC. Everything is frozen: a rule returns a new state.

The law that `tollhouse verify` checks: over all entries, the moves of a credits meter add up to what its live lots
have left; the moves of a quota, lease or count meter add up to minus what is used; the moves of one lot add up to what
it has left (zero once it is gone).
"""

from typing import Literal

import msgspec

Standing = Literal["good", "past_due", "blocked"]
LotSource = Literal["plan", "topup", "grant", "bought"]
EntryKind = Literal[
    "opened", "admission", "hold", "grant", "expiry", "turn", "plan", "standing", "settlement", "release", "hold_expiry",
    "return", "lease_end", "lease_lapse", "lease_again", "unlock", "correction",
    "owned",  # taken beside a thing that stays (a project): no admission, so that nothing refunds it while it is there
]  # fmt: skip

Move = tuple[str, str, int]
"""(meter, place, signed amount): the place is a lot's id, a period's start, a rate's bucket, or empty. Negative takes."""

Part = tuple[str, int]
"""(lot's id, amount): what of a lot that was carried over came from which lot."""

MOST_LOTS = 64
LARGEST_STATE_BYTES = 8_192
LARGEST_LOTS_BYTES = 6_656  # of them for lots, counted as if wholly used: an admission never makes a document too large
SIXTHS = 7  # the current sixth of a rate's window and the six before it


class Lot(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One granted amount of credits that still counts. What was paid for it stands in the `lot` table."""

    id: str
    amount: int
    used: int
    source: LotSource
    expires_at: int | None = None
    since: int = (
        0  # start of the paid period, for a plan's lot: a later period's lot replaces it, never an earlier one's
    )
    until: int | None = None  # end of the paid period: how long it stays when the subscription ends
    locked: bool = False  # not spendable until the e-mail address is verified
    parts: tuple[Part, ...] = ()  # of a lot that was carried over: what it was made of, in the order of spending

    @property
    def remaining(self) -> int:
        return self.amount - self.used


class Quota(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Use of a quota meter in its open period [start, end)."""

    used: int
    start: int
    end: int
    session_ms: int = 0  # time of finished sessions in this period: shown, never billed (S2)


class Window(msgspec.Struct, frozen=True, gc=False):
    """Use of a rate meter: `counts[0]` in the sixth numbered `bucket`, then the six sixths before it."""

    bucket: int
    counts: tuple[int, ...]


class State(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One customer's state. `seq` is the position of its newest entry; `next_due` when `advance` has work."""

    plan: str
    plan_version: int
    decided_at: int
    seq: int
    anchor: int  # from where billing periods are counted
    next_due: int | None = None
    standing: Standing = "good"
    ends_at: int | None = None  # a known cancellation date: then the free plan
    lots: dict[str, tuple[Lot, ...]] = {}
    quotas: dict[str, Quota] = {}
    windows: dict[str, Window] = {}
    held: dict[str, int] = {}  # leases: slots taken
    counts: dict[str, int] = {}
    past_due_at: int | None = None  # a payment failed: past due from then on, unless it is made before


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One line of a customer's book. `remaining` and `used` are the sums over all meters after it (both 0 or more)."""

    seq: int
    kind: EntryKind
    action: str
    at: int
    moves: tuple[Move, ...]
    remaining: int
    used: int
    target: int | None = None  # the admission's position, for what refers to one
    metadata: str | None = None  # JSON


class Shortage(msgspec.Struct, frozen=True, gc=False):
    """Why an admission is refused. Amounts are scaled; `retry_after_ms` only for rates."""

    code: str
    meter: str | None = None
    needed: int | None = None
    remaining: int | None = None
    resets_at: int | None = None
    retry_after_ms: int | None = None
    verify_email: bool = False  # enough credits are there, and wait for the e-mail address to be verified


class Taken(msgspec.Struct, frozen=True, gc=False):
    """An admission that may be: the state after it, and what moved."""

    state: State
    moves: tuple[Move, ...]


class LotFacts(msgspec.Struct, frozen=True):
    """What never changes about a lot, from the `lot` table; needed when a refund reaches a lot that was spent."""

    id: str
    meter: str
    amount: int
    source: LotSource
    expires_at: int | None
    since: int
    until: int | None
    ended_at: int | None
