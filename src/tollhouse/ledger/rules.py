"""What an action may take, decided on all its meters at once. Pure: no clock, no database, no catalogue file.

`take` is the one decision of Tollhouse. `advance` (in `turning.py`) must have brought the state to `now` first.
"""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from tollhouse.catalog.model import Meter, PlanVersion
from tollhouse.kernel.errors import Conflict, InvariantBroken
from tollhouse.kernel.periods import period_at
from tollhouse.kernel.units import LARGEST
from tollhouse.ledger.model import (
    LARGEST_LOTS_BYTES,
    MOST_LOTS,
    SIXTHS,
    Lot,
    Move,
    Quota,
    Shortage,
    State,
    Taken,
    Window,
)

NEVER = 1 << 62
_HARDEST_FIRST = {"credits": 0, "quota": 1, "count": 2, "lease": 3, "rate": 4}


def standing_shortage(state: State) -> Shortage | None:
    """A customer that is past due or blocked is refused every admission."""
    if state.standing == "past_due":
        return Shortage("subscription_past_due")
    if state.standing == "blocked":
        return Shortage("customer_blocked")
    return None


def take(
    state: State, plan: PlanVersion, meters: Mapping[str, Meter], cost: Mapping[str, int], now: int
) -> Taken | Shortage:
    """All of `cost` or none of it. `now` is at least `state.decided_at`; standing is asked by the caller.

    When several meters are short the answer names the one that waiting helps least.
    """
    shortages: list[Shortage] = []
    moves: list[Move] = []
    changes: dict[str, object] = {"decided_at": now}
    for name, amount in cost.items():
        meter = meters[name]
        if not plan.allows(meter):
            return Shortage("plan_lacks_action", name)
        kind = meter.kind
        if kind == "credits":
            short = _take_credits(state, name, amount, changes, moves)
        elif kind == "quota":
            short = _take_quota(state, plan, meter, amount, now, changes, moves)
        elif kind == "rate":
            short = _take_rate(state, plan, meter, amount, now, changes, moves)
        elif kind == "lease":
            short = _take_lease(state, plan, name, amount, changes, moves)
        else:
            short = _take_count(state, plan, name, amount, changes, moves)
        if short is not None:
            shortages.append(short)
    if shortages:
        return min(shortages, key=lambda short: _HARDEST_FIRST[meters[str(short.meter)].kind])
    changes["seq"] = state.seq + 1
    after = replace(state, **changes)
    if "next_due" in changes:
        after = replace(after, next_due=next_due(after))
    return Taken(after, tuple(moves))


def take_up_to(
    state: State, plan: PlanVersion, meters: Mapping[str, Meter], amounts: Mapping[str, int], now: int
) -> tuple[State, tuple[Move, ...], dict[str, int]]:
    """Debit as much of `amounts` as there is, down to zero: (state, moves, shortfall by meter). For settlements."""
    possible: dict[str, int] = {}
    shortfall: dict[str, int] = {}
    for name, amount in amounts.items():
        part = min(amount, _available(state, plan, meters[name]))
        if part:
            possible[name] = part
        if part < amount:
            shortfall[name] = amount - part
    if not possible:
        return state, (), shortfall
    taken = take(state, plan, meters, possible, now)
    if isinstance(taken, Shortage):
        raise InvariantBroken(f"what was available could not be taken ({taken.code})", fix="run `tollhouse verify`")
    return replace(taken.state, seq=state.seq), taken.moves, shortfall


def _available(state: State, plan: PlanVersion, meter: Meter) -> int:
    """What a settlement may still debit from a credits or quota meter; nothing from the other kinds."""
    if not plan.allows(meter):
        return 0
    if meter.kind == "credits":
        return sum(lot.remaining for lot in state.lots.get(meter.name, ()) if not lot.locked)
    if meter.kind == "quota":
        return max(0, _ceiling(plan, meter.name) - state.quotas[meter.name].used)
    return 0


def _changed(state: State, changes: dict[str, object], field: str) -> dict[str, object]:
    """The dictionary of this field that the new state will have, copied once."""
    table = changes.get(field)
    if table is None:
        table = changes[field] = dict(getattr(state, field))
    return table  # type: ignore[return-value]


def _take_credits(
    state: State, name: str, amount: int, changes: dict[str, object], moves: list[Move]
) -> Shortage | None:
    lots = state.lots.get(name, ())
    left = amount
    after: list[Lot] = []
    for lot in lots:  # kept in spending order, see `in_spending_order`
        part = 0 if lot.locked else min(left, lot.amount - lot.used)
        if part:
            left -= part
            moves.append((name, lot.id, -part))
            if lot.used + part == lot.amount and lot.source != "plan":
                if lot.expires_at is not None:
                    changes["next_due"] = None  # it may have been the next thing due: `take` asks anew
                continue
            lot = replace(lot, used=lot.used + part)
        after.append(lot)
    if left:
        waiting = sum(lot.amount - lot.used for lot in lots if lot.locked)
        return Shortage(
            "credits_exhausted", name, amount, amount - left, soonest_expiry(lots), verify_email=waiting >= left
        )
    _changed(state, changes, "lots")[name] = tuple(after)
    return None


def _take_quota(
    state: State, plan: PlanVersion, meter: Meter, amount: int, now: int, changes: dict[str, object], moves: list[Move]
) -> Shortage | None:
    name = meter.name
    limit = _ceiling(plan, name)
    quota = state.quotas.get(name)
    if quota is None:  # a meter that became a quota after this account was opened
        quota = Quota(0, *period_at(state.anchor, meter.period, now))
        changes["next_due"] = None
    if quota.used + amount > limit:
        return Shortage("quota_exhausted", name, amount, max(0, limit - quota.used), quota.end)
    _changed(state, changes, "quotas")[name] = replace(quota, used=quota.used + amount)
    moves.append((name, str(quota.start), -amount))
    return None


def _take_rate(
    state: State, plan: PlanVersion, meter: Meter, amount: int, now: int, changes: dict[str, object], moves: list[Move]
) -> Shortage | None:
    limit = _ceiling(plan, meter.name)
    window = slide(state.windows.get(meter.name), meter, now)
    used = sum(window.counts)
    if used + amount > limit:
        wait = _rate_wait(window, meter, amount, limit, now)
        return Shortage("rate_limited", meter.name, amount, max(0, limit - used), now + wait, wait)
    counts = (window.counts[0] + amount, *window.counts[1:])
    _changed(state, changes, "windows")[meter.name] = Window(window.bucket, counts)
    moves.append((meter.name, str(window.bucket), -amount))
    return None


def _take_lease(
    state: State, plan: PlanVersion, name: str, amount: int, changes: dict[str, object], moves: list[Move]
) -> Shortage | None:
    limit = _ceiling(plan, name)
    held = state.held.get(name, 0)
    if held + amount > limit:
        return Shortage("concurrency_exhausted", name, amount, max(0, limit - held))
    _changed(state, changes, "held")[name] = held + amount
    moves.append((name, "", -amount))
    return None


def _take_count(
    state: State, plan: PlanVersion, name: str, amount: int, changes: dict[str, object], moves: list[Move]
) -> Shortage | None:
    limit = _ceiling(plan, name)
    owned = state.counts.get(name, 0)
    if owned + amount > limit:
        return Shortage("count_exhausted", name, amount, max(0, limit - owned))
    _changed(state, changes, "counts")[name] = owned + amount
    moves.append((name, "", -amount))
    return None


def _ceiling(plan: PlanVersion, meter: str) -> int:
    """The limit; for an unlimited meter the largest number that every client reads exactly (2^53 - 1)."""
    limit = plan.limits[meter]
    return LARGEST if limit is None else limit


def slide(window: Window | None, meter: Meter, now: int) -> Window:
    """The window as it stands at `now`: sixths that have passed out of it are forgotten.

    A bucket far ahead was counted before the catalogue made the window longer (a shorter one moves far ahead itself):
    a window of another length begins anew.
    """
    bucket = now * 6 // meter.window_ms
    if window is None or window.bucket > bucket + SIXTHS:
        return Window(bucket, (0,) * SIXTHS)
    steps = bucket - window.bucket
    if steps <= 0:
        return window
    return Window(bucket, ((0,) * min(steps, SIXTHS) + window.counts)[:SIXTHS])


def _rate_wait(window: Window, meter: Meter, amount: int, limit: int, now: int) -> int:
    """Milliseconds until `amount` fits, if nothing else comes; until the whole window has passed when it never fits."""
    used = sum(window.counts)
    for age in range(SIXTHS - 1, -1, -1):
        used -= window.counts[age]
        if used + amount <= limit or age == 0:
            free_from = -(-(window.bucket - age + SIXTHS) * meter.window_ms // 6)
            return max(1, free_from - now)
    raise InvariantBroken("a rate window without sixths")


def comes_back_at(window: Window, meter: Meter) -> int | None:
    """When the oldest of what was used leaves the window (ms); None when nothing was used."""
    for age in range(SIXTHS - 1, -1, -1):
        if window.counts[age]:
            return -(-(window.bucket - age + SIXTHS) * meter.window_ms // 6)
    return None


def in_spending_order(lots: tuple[Lot, ...]) -> tuple[Lot, ...]:
    """Soonest-expiring first; among equals the plan's lot before what was bought or given, then the older."""
    return tuple(
        sorted(
            lots, key=lambda lot: (NEVER if lot.expires_at is None else lot.expires_at, lot.source != "plan", lot.id)
        )
    )


def soonest_expiry(lots: tuple[Lot, ...]) -> int | None:
    """When the first of these lots ends; None when none of them does. They stand in spending order."""
    return lots[0].expires_at if lots else None


def check_room(state: State) -> None:
    """Raises Conflict when the live lots are too many for one account, or would not fit its document when spent."""
    live = sum(len(lots) for lots in state.lots.values())
    spent = {meter: [replace(lot, used=lot.amount) for lot in lots] for meter, lots in state.lots.items()}
    if live > MOST_LOTS or len(msgspec.json.encode(spent)) > LARGEST_LOTS_BYTES:
        raise Conflict(
            f"the customer has {live - 1} live lots already, as many as one account can hold",
            code="too_many_lots",
            fix="grant fewer, larger amounts; spent and expired lots make room again",
        )


def sums(state: State) -> tuple[int, int]:
    """(remaining, used): what every entry records as the sums after it."""
    remaining = used = 0
    for lots in state.lots.values():
        for lot in lots:
            remaining += lot.amount - lot.used
    for quota in state.quotas.values():
        used += quota.used
    for held in state.held.values():
        used += held
    for count in state.counts.values():
        used += count
    return remaining, used


def next_due(state: State) -> int | None:
    """The earliest moment at which `advance` has work: a lot's expiry, a period's end, the end of the subscription."""
    moments = [lot.expires_at for lots in state.lots.values() for lot in lots if lot.expires_at is not None]
    moments += [quota.end for quota in state.quotas.values()]
    if state.ends_at is not None:
        moments.append(state.ends_at)
    return min(moments, default=None)
