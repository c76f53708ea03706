"""What comes back: refunds, settlements of holds, ends of leases. To the lot and period it came from. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from tollhouse.catalog.model import Meter
from tollhouse.kernel.errors import Conflict, InvariantBroken
from tollhouse.kernel.units import LARGEST
from tollhouse.ledger.model import Lot, LotFacts, Move, State
from tollhouse.ledger.rules import check_room, in_spending_order

RETURNABLE = frozenset({"credits", "quota", "count"})


def outstanding(taken: Iterable[Move], returned: Iterable[Move]) -> dict[tuple[str, str], int]:
    """What an admission took from each place and has not given back, in the order of taking. Never negative."""
    left: dict[tuple[str, str], int] = {}
    for meter, place, amount in taken:
        left[meter, place] = left.get((meter, place), 0) - amount
    for meter, place, amount in returned:
        if (meter, place) in left:
            left[meter, place] -= amount
    if any(amount < 0 for amount in left.values()):
        raise InvariantBroken("an admission would give back more than it took", fix="run `tollhouse verify`")
    return left


def give_back(
    state: State,
    meters: Mapping[str, Meter],
    places: Mapping[tuple[str, str], int],
    amounts: Mapping[str, int],
    lots: Mapping[str, LotFacts],
    now: int,
    *,
    lose_without_room: bool = False,
) -> tuple[State, tuple[Move, ...], dict[str, int]]:
    """Return `amounts` (meter → scaled) to the places they were taken from, the last taken first.

    Gives (state, moves, lost): an expired or replaced lot and a period that has turned stay as they are, and what
    belonged to them is `lost` (it counts as given back). The caller has checked that no amount is above what is left.
    A spent lot that finds no room raises Conflict `too_many_lots`, or is lost as well where that is asked for.
    """
    moves: list[Move] = []
    lost: dict[str, int] = {}
    for name, amount in amounts.items():
        for (meter, place), available in reversed(list(places.items())):
            part = min(amount, available) if meter == name else 0
            if not part:
                continue
            amount -= part
            try:
                after = _give_back_one(state, meters[name].kind, name, place, part, lots, now)
            except Conflict:
                if not lose_without_room:
                    raise
                after = None
            if after is None:
                lost[name] = lost.get(name, 0) + part
            else:
                state = after
                moves.append((name, place, part))
        if amount:
            raise InvariantBroken(f"more of {name!r} would come back than was taken", fix="run `tollhouse verify`")
    return state, tuple(moves), lost


def _give_back_one(
    state: State, kind: str, name: str, place: str, part: int, lots: Mapping[str, LotFacts], now: int
) -> State | None:
    if kind == "credits":
        return _to_lot(state, name, place, part, lots, now)
    if kind == "quota":
        quota = state.quotas.get(name)
        if quota is None or str(quota.start) != place:
            return None
        return replace(state, quotas={**state.quotas, name: replace(quota, used=_less(quota.used, part, name))})
    if kind == "count":
        return replace(state, counts={**state.counts, name: _less(state.counts.get(name, 0), part, name)})
    if kind == "lease":
        return replace(state, held={**state.held, name: _less(state.held.get(name, 0), part, name)})
    return None


def _less(used: int, part: int, name: str) -> int:
    if part > used:
        raise InvariantBroken(f"use of {name!r} would fall below zero", fix="run `tollhouse verify`")
    return used - part


def _to_lot(state: State, meter: str, lot_id: str, part: int, facts: Mapping[str, LotFacts], now: int) -> State | None:
    kept = state.lots.get(meter, ())
    for position, lot in enumerate(kept):
        if lot.id == lot_id:
            revived = replace(lot, used=_less(lot.used, part, meter))
            return replace(state, lots={**state.lots, meter: (*kept[:position], revived, *kept[position + 1 :])})
    known = facts.get(lot_id)
    if known is None:
        raise InvariantBroken(f"the lot {lot_id} is unknown", fix="run `tollhouse verify`")
    # A plan's lot stays in the state as long as it counts, also when it is spent: this one was replaced or has expired.
    if (
        known.source == "plan"
        or known.ended_at is not None
        or (known.expires_at is not None and known.expires_at <= now)
    ):
        return None
    lot = Lot(known.id, known.amount, known.amount - part, known.source, known.expires_at, known.since, known.until)
    after = replace(state, lots={**state.lots, meter: in_spending_order((*kept, lot))})
    _check_room(after, meter, lot_id)
    return after


def _check_room(after: State, meter: str, lot_id: str) -> None:
    """Raises Conflict when the account has no room for this lot any more: the rules of a grant."""
    try:
        check_room(after)
    except Conflict as full:
        reason = full.detail
    else:
        if sum(lot.amount for lot in after.lots[meter]) <= LARGEST:
            return
        reason = "the balance would pass 2^53"
    raise Conflict(
        f"the spent lot {lot_id} cannot come back: {reason}",
        code="too_many_lots",
        fix="send it again later; spent and expired lots make room",
    )


def returned_by_meter(places: Mapping[tuple[str, str], int], meters: Mapping[str, Meter]) -> dict[str, int]:
    """All that can still come back, by meter: credits, quotas and counts (a request that was made stays made)."""
    total: dict[str, int] = {}
    for (meter, _place), amount in places.items():
        if amount and meter in meters and meters[meter].kind in RETURNABLE:
            total[meter] = total.get(meter, 0) + amount
    return total


def lots_named(moves: Sequence[Move]) -> list[str]:
    """Ids of the lots among these moves."""
    return list(dict.fromkeys(place for _meter, place, _amount in moves if place.startswith("lot_")))
