"""The lots that come with a plan, each time one of its periods is paid, and what is carried over. Pure.

Every function takes a state already advanced to `now` and returns the state after it with the entries to write.
"""

from typing import Literal

import msgspec
from msgspec.structs import replace

from tollhouse.catalog.model import Catalog, Grant
from tollhouse.kernel.ids import entry_id
from tollhouse.kernel.units import LARGEST, unscale
from tollhouse.ledger.granting import Change, NewLot, add_lot, metadata_json
from tollhouse.ledger.model import Lot, Move, Part, State
from tollhouse.ledger.turning import record

Occasion = Literal["bought", "upgraded", "renewed"]
"""How a period came to be paid: a new subscription, a move up from a lower plan within a period, a renewal."""

MOST_PARTS = 12
"""Lots that a lot carried over still names; older ones count as the oldest of them."""


class Payment(msgspec.Struct, frozen=True):
    """A period [start, end) that was paid, and what the entries about it are called and tell."""

    start: int
    end: int
    occasion: Occasion
    action: str
    metadata: dict[str, object] = {}


def amount_due(state: State, grant: Grant, payment: Payment) -> int:
    """What this paid period brings anew.

    The difference is counted from what the period's lots were granted, whatever is left of them, so that all of them
    together never bring more than the highest plan of the period.
    """
    if payment.occasion != "upgraded" or grant.on_upgrade == "replace":
        return grant.amount
    if grant.on_upgrade == "none":
        return 0
    lots = _plan_lots(state, grant.meter)
    return max(0, grant.amount - sum(lot.amount for lot in lots if lot.until == payment.end and not lot.parts))


def grant_plan_lot(
    state: State, catalog: Catalog, customer: str, grant: Grant, payment: Payment, now: int
) -> Change:  # fmt: skip
    """The lot of a paid period. `replace` ends the plan's older lots and leaves what was bought or given apart.

    A period older than the one that the plan's lot already covers (an invoice that came late) adds nothing: its lot
    has been replaced before it came, or carried over as far as it may be. Once the subscription is over, the lot lasts
    to the end of its period at most.
    """
    held = _plan_lots(state, grant.meter)
    over = state.plan == catalog.free_plan
    newest = max((lot.since for lot in held), default=-1)
    note = metadata_json(payment.metadata)
    if over and payment.end <= now:
        return _told(state, f"{payment.action}_superseded", now, note)
    if grant.mode == "replace" and newest > payment.start:
        return _come_late(state, customer, grant, payment, held, newest, now)
    amount = amount_due(state, grant, payment)
    if not amount:
        return _told(state, payment.action, now, note)
    ending = _ending(held, grant, payment)
    moves: list[Move] = [(grant.meter, lot.id, -lot.remaining) for lot in ending if lot.remaining]
    new = NewLot(
        grant.meter, amount, "plan", payment.end if over else None, payment.start, payment.end
    )  # fmt: skip
    change = add_lot(_without(state, grant.meter, ending), customer, new, now, payment.action, note)
    entry = replace(change.entries[0], moves=(*moves, *change.entries[0].moves))
    return Change(change.state, (entry,), change.made, tuple(lot.id for lot in ending))


def _ending(held: tuple[Lot, ...], grant: Grant, payment: Payment) -> tuple[Lot, ...]:
    """The plan's lots that this one replaces; what was carried over ends with a renewal only."""
    if grant.mode == "add" or (payment.occasion == "upgraded" and grant.on_upgrade == "difference"):
        return ()
    return tuple(lot for lot in held if not lot.parts or (payment.occasion == "renewed" and lot.since < payment.start))


def roll_over(state: State, catalog: Catalog, customer: str, grant: Grant, payment: Payment, now: int) -> Change | None:
    """What is left of the plan's older lots, up to the grant's ceiling, as one lot of the new period; the rest ends.

    Comes before the new period's own lot. None where nothing is carried over. The oldest is what ends first, as it
    would have been spent first.
    """
    held = _plan_lots(state, grant.meter)
    over = state.plan == catalog.free_plan
    late = any(lot.since >= payment.start for lot in held)
    if grant.rollover == 0 or payment.occasion != "renewed" or late or (over and payment.end <= now):
        return None
    older = [lot for lot in held if lot.until is not None]
    left = [part for lot in older for part in parts_left(lot)]
    total = sum(amount for _, amount in left)
    carried = min(total, _ceiling(grant), _room(_without(state, grant.meter, held), grant))
    if carried <= 0:
        return None
    parts = _without_first(left, total - carried)
    new = NewLot(
        grant.meter, carried, "plan", payment.end if over else None, payment.start, payment.end, parts=_few(parts)
    )
    decimals = catalog.meters[grant.meter].decimals
    note = metadata_json(
        payment.metadata
        | {
            "rolled_over": unscale(carried, decimals),
            "ended": unscale(total - carried, decimals),
            "of": {lot: unscale(amount, decimals) for lot, amount in parts},
        }
    )
    change = add_lot(_without(state, grant.meter, tuple(older)), customer, new, now, "credits_rolled_over", note)
    moves: list[Move] = [(grant.meter, lot.id, -lot.remaining) for lot in older if lot.remaining]
    entry = replace(change.entries[0], moves=(*moves, *change.entries[0].moves))
    return Change(change.state, (entry,), change.made, tuple(lot.id for lot in older))


def _come_late(
    state: State, customer: str, grant: Grant, payment: Payment, held: tuple[Lot, ...], newest: int, now: int
) -> Change:
    """A period that was paid after a later one: what would have been carried over from it, or nothing."""
    carried = sum(lot.amount for lot in held if lot.parts)
    amount = min(grant.amount, _ceiling(grant) - carried, _room(state, grant))
    later = [lot for lot in held if lot.since == newest]
    if payment.occasion == "upgraded" or payment.end > newest or amount <= 0:
        return _told(state, f"{payment.action}_superseded", now, metadata_json(payment.metadata))
    lot_id = entry_id("lot", customer, state.seq + 1)
    new = NewLot(
        grant.meter, amount, "plan", later[0].expires_at, newest, later[0].until, parts=((lot_id, amount),)
    )  # fmt: skip
    return add_lot(state, customer, new, now, f"{payment.action}_late", metadata_json(payment.metadata))


def parts_left(lot: Lot) -> tuple[Part, ...]:
    """From which lots comes what is left of this one, the oldest first: they are spent in this order."""
    if lot.parts:
        return _without_first(lot.parts, lot.used)
    return ((lot.id, lot.remaining),) if lot.remaining else ()


def _without_first(parts: "tuple[Part, ...] | list[Part]", amount: int) -> tuple[Part, ...]:
    left: list[Part] = []
    for lot, size in parts:
        gone = min(size, amount)
        amount -= gone
        if size > gone:
            left.append((lot, size - gone))
    return tuple(left)


def _few(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """At most MOST_PARTS of them, so that an account stays small however long its credits are carried on."""
    surplus = len(parts) - MOST_PARTS
    if surplus <= 0:
        return parts
    oldest = parts[: surplus + 1]
    return ((oldest[-1][0], sum(amount for _, amount in oldest)), *parts[surplus + 1 :])


def _ceiling(grant: Grant) -> int:
    return LARGEST if grant.rollover is None else grant.rollover


def _room(state: State, grant: Grant) -> int:
    """What may be carried over so that the balance with the new period's lot stays a number that clients can read."""
    return LARGEST - grant.amount - sum(lot.amount for lot in state.lots.get(grant.meter, ()))


def _told(state: State, action: str, now: int, note: str) -> Change:
    after, entry = record(state, "grant", action, now, (), metadata=note)
    return Change(after, (entry,))


def _plan_lots(state: State, meter: str) -> tuple[Lot, ...]:
    return tuple(lot for lot in state.lots.get(meter, ()) if lot.source == "plan")


def _without(state: State, meter: str, ending: tuple[Lot, ...]) -> State:
    if not ending:
        return state
    gone = {lot.id for lot in ending}
    return replace(
        state, lots={**state.lots, meter: tuple(lot for lot in state.lots.get(meter, ()) if lot.id not in gone)}
    )
