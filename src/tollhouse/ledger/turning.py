"""What time alone does to an account: lots expire, quota periods turn, a cancelled plan ends, grace is over. Pure.

`advance` comes first in every decision and every read. Each thing is dated at its boundary and has an entry of its own.
"""

from msgspec.structs import replace

from tollhouse.catalog.model import Catalog, Meter
from tollhouse.kernel.errors import Unavailable
from tollhouse.kernel.periods import Unit, period_at
from tollhouse.ledger.model import Entry, Lot, Move, Quota, Standing, State
from tollhouse.ledger.rules import NEVER, in_spending_order, next_due, sums

MOST_TURNS = 2_000
"""Boundaries handled in one go: five years of a daily quota. What is left is due at once in the next decision."""


def advance(state: State, catalog: Catalog, now: int) -> tuple[State, list[Entry]]:
    """The state at `now`, and an entry for each expiry, turn and end since, in the order of their dates."""
    entries: list[Entry] = []
    while state.next_due is not None and state.next_due <= now and len(entries) < MOST_TURNS:
        boundary = state.next_due
        state, entry = _step(state, catalog, boundary)
        entries.append(entry)
    return state, entries


def _step(state: State, catalog: Catalog, boundary: int) -> tuple[State, Entry]:
    """One thing that is due at this boundary: expiries first, then the ends of plan and grace, then the turn of periods."""
    for meter, lots in state.lots.items():
        for lot in lots:
            if lot.expires_at is not None and lot.expires_at <= boundary:
                return _expire(state, meter, lot, boundary)
    if state.ends_at is not None and state.ends_at <= boundary:
        return _end_plan(state, catalog, boundary)
    if state.past_due_at is not None and state.past_due_at <= boundary:
        return _end_grace(state, boundary)
    return _turn(state, catalog, boundary)


def _expire(state: State, meter: str, lot: Lot, boundary: int) -> tuple[State, Entry]:
    kept = tuple(other for other in state.lots[meter] if other.id != lot.id)
    after = replace(state, lots={**state.lots, meter: kept})
    moves: tuple[Move, ...] = ((meter, lot.id, -lot.remaining),) if lot.remaining else ()
    return record(after, "expiry", "lot_expired", boundary, moves)


def _turn(state: State, catalog: Catalog, boundary: int) -> tuple[State, Entry]:
    quotas = dict(state.quotas)
    moves: list[Move] = []
    for name, quota in state.quotas.items():
        if quota.end <= boundary:
            if quota.used:
                moves.append((name, str(quota.start), quota.used))
            unit = _period_of(name, catalog)
            # It starts where the last one ended, also when the catalogue has meanwhile made the periods longer.
            quotas[name] = Quota(0, boundary, period_at(state.anchor, unit, boundary)[1])
    return record(replace(state, quotas=quotas), "turn", "period_turned", boundary, tuple(moves))


def _period_of(meter: str, catalog: Catalog) -> Unit:
    """The meter's period. Raises Unavailable for a meter that a newer process has brought and this one has not read yet."""
    known = catalog.meters.get(meter)
    if known is None:
        raise Unavailable(
            f"the meter {meter!r} is not known here yet", code="catalogue_behind", fix="try again in a few seconds"
        )
    return known.period


def _end_plan(state: State, catalog: Catalog, boundary: int) -> tuple[State, Entry]:
    free = catalog.plans[catalog.free_plan]
    ended = keep_until_paid_end(
        replace(state, plan=free.plan, plan_version=free.version, ends_at=None, past_due_at=None), boundary
    )
    ended = with_meters_of(ended, catalog, boundary)
    return record(ended, "plan", "plan_ended", boundary, ())


def _end_grace(state: State, boundary: int) -> tuple[State, Entry]:
    """Nobody has paid; who was blocked meanwhile stays so."""
    standing: Standing = "past_due" if state.standing == "good" else state.standing
    ended = replace(state, standing=standing, past_due_at=None)
    return record(ended, "standing", "standing_past_due", boundary, ())


def keep_until_paid_end(state: State, now: int) -> State:
    """The subscription has ended: its plan's lots stay until the end of the period that was paid, then expire."""
    lots: dict[str, tuple[Lot, ...]] = {}
    for meter, kept in state.lots.items():
        lots[meter] = in_spending_order(
            tuple(
                replace(lot, expires_at=max(now, lot.until))
                if lot.source == "plan" and lot.until is not None and (lot.expires_at or NEVER) > lot.until
                else lot
                for lot in kept
            )
        )
    return replace(state, lots=lots)


def keep_while_subscribed(state: State) -> State:
    """A subscription goes on: its plan's lots that were to expire with the paid period stay until they are replaced."""
    lots: dict[str, tuple[Lot, ...]] = {}
    for meter, kept in state.lots.items():
        lots[meter] = in_spending_order(
            tuple(
                replace(lot, expires_at=None) if lot.source == "plan" and lot.until is not None else lot for lot in kept
            )
        )
    return replace(state, lots=lots)


def with_meters_of(state: State, catalog: Catalog, now: int) -> State:
    """Gives every quota meter of the catalogue an open period, counted from the anchor."""
    quotas = dict(state.quotas)
    for name, meter in catalog.meters.items():
        if meter.kind == "quota" and name not in quotas:
            quotas[name] = fresh_quota(state, meter, now)
    return replace(state, quotas=quotas) if len(quotas) != len(state.quotas) else state


def fresh_quota(state: State, meter: Meter, now: int) -> Quota:
    """An unused period of this meter that contains `now`."""
    start, end = period_at(state.anchor, meter.period, now)
    return Quota(0, start, end)


def record(
    state: State,
    kind: str,
    action: str,
    at: int,
    moves: tuple[Move, ...],
    target: int | None = None,
    metadata: str | None = None,
) -> tuple[State, Entry]:
    """Close a change: the next position in the book, `next_due` set anew, and the entry with the sums after it."""
    after = replace(state, seq=state.seq + 1, decided_at=max(state.decided_at, at), next_due=next_due(state))
    remaining, used = sums(after)
    return after, Entry(after.seq, kind, action, at, moves, remaining, used, target, metadata)  # type: ignore[arg-type]
