"""The lots that come with a plan, each time one of its periods is paid. Pure.

Every function takes a state already advanced to `now` and returns the state after it with the entries to write.
"""

from msgspec.structs import replace

from tollhouse.catalog.model import Catalog, Grant
from tollhouse.ledger.granting import Change, NewLot, add_lot
from tollhouse.ledger.model import Lot, Move, State
from tollhouse.ledger.turning import record


def amount_due(state: State, grant: Grant, period: tuple[int, int], *, upgrade: bool) -> int:
    """What this paid period brings. `upgrade`: it was bought within a period, by moving up from a lower plan.

    The difference is counted from what the period's lots were granted, whatever is left of them, so that all of them
    together never bring more than the highest plan of the period.
    """
    if not upgrade or grant.on_upgrade == "replace":
        return grant.amount
    if grant.on_upgrade == "none":
        return 0
    _, end = period
    brought = sum(lot.amount for lot in _plan_lots(state, grant.meter) if lot.until == end)
    return max(0, grant.amount - brought)


def grant_plan_lot(
    state: State, catalog: Catalog, customer: str, grant: Grant, period: tuple[int, int], now: int,
    action: str, metadata: str | None, *, upgrade: bool = False,
) -> Change:  # fmt: skip
    """The lot of a paid period. `replace` ends the plan's older lots and leaves what was bought or given apart.

    A period older than the one that the plan's lot already covers (an invoice that came late) adds nothing: its lot
    has been replaced before it came. Once the subscription is over, the lot lasts to the end of its period at most.
    """
    start, end = period
    held = _plan_lots(state, grant.meter)
    over = state.plan == catalog.free_plan
    newest = max((lot.since for lot in held), default=-1)
    if (grant.mode == "replace" and newest > start) or (over and end <= now):
        after, entry = record(state, "grant", f"{action}_superseded", now, (), metadata=metadata)
        return Change(after, (entry,))
    amount = amount_due(state, grant, period, upgrade=upgrade)
    if not amount:
        after, entry = record(state, "grant", action, now, (), metadata=metadata)
        return Change(after, (entry,))
    ending = held if grant.mode == "replace" and not (upgrade and grant.on_upgrade == "difference") else ()
    moves: list[Move] = [(grant.meter, lot.id, -lot.remaining) for lot in ending if lot.remaining]
    new = NewLot(grant.meter, amount, "plan", end if over else None, start, end)
    change = add_lot(_without(state, grant.meter, ending), customer, new, now, action, metadata)
    entry = replace(change.entries[0], moves=(*moves, *change.entries[0].moves))
    return Change(change.state, (entry,), change.made, tuple(lot.id for lot in ending))


def _plan_lots(state: State, meter: str) -> tuple[Lot, ...]:
    return tuple(lot for lot in state.lots.get(meter, ()) if lot.source == "plan")


def _without(state: State, meter: str, ending: tuple[Lot, ...]) -> State:
    if not ending:
        return state
    gone = {lot.id for lot in ending}
    return replace(
        state, lots={**state.lots, meter: tuple(lot for lot in state.lots.get(meter, ()) if lot.id not in gone)}
    )
