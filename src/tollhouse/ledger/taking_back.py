"""Taking back the credits of a payment that was given back, as far as they are left. Pure."""

import msgspec
from msgspec.structs import replace

from tollhouse.ledger.granting import Change
from tollhouse.ledger.model import Lot, LotFacts, Move, Part, State
from tollhouse.ledger.plan_lots import parts_left
from tollhouse.ledger.turning import record


class Refunded(msgspec.Struct, frozen=True):
    """How much of what was paid is given back now, and how much of it had been dealt with before; minor units."""

    paid: int
    before: int
    now: int

    def share(self, amount: int) -> int:
        """Of this amount, what is to be taken back now. All shares of one payment add up to the amount."""
        return amount * self.now // self.paid - amount * self.before // self.paid


def take_back(state: State, lots: tuple[LotFacts, ...], refunded: Refunded, now: int, metadata: str) -> Change:
    """The share of these lots, from what is left of them, where it lies now: never more, so that nothing falls below zero."""
    moves: list[Move] = []
    kept = dict(state.lots)
    for lot in lots:
        wanted = refunded.share(lot.amount)
        after: list[Lot] = []
        for live in kept.get(lot.meter, ()):
            there = sum(amount for of, amount in parts_left(live) if of == lot.id)
            part = min(wanted, there)
            if part:
                wanted -= part
                moves.append((lot.meter, live.id, -part))
                live = replace(live, used=live.used + part, parts=_used_next(live, lot.id, part))
            after.append(live)
        kept[lot.meter] = tuple(after)
    after_all, entry = record(
        replace(state, lots=kept), "correction", "payment_refunded", now, tuple(moves), metadata=metadata
    )
    return Change(after_all, (entry,))


def _used_next(lot: Lot, of: str, part: int) -> tuple[Part, ...]:
    """The parts of a lot that was carried over, in such an order that this one counts as used and the others do not."""
    if not lot.parts:
        return ()
    left = parts_left(lot)
    gone = lot.used
    used: list[Part] = []
    for name, amount in lot.parts:
        if taken := min(amount, gone):
            used.append((name, taken))
            gone -= taken
    rest: list[Part] = []
    wanted = part
    for name, amount in left:
        taken = min(amount, wanted) if name == of else 0
        wanted -= taken
        if amount > taken:
            rest.append((name, amount - taken))
    return (*used, (of, part), *rest)
