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
_OLDEST_FIRST = tuple(range(SIXTHS - 1, -1, -1))
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
    lots, quotas, windows, held, counts = state.lots, state.quotas, state.windows, state.held, state.counts
    limits = plan.limits
    due_moved = False  # something that had a date was used up, or began to have one
    for name, amount in cost.items():
        meter = meters[name]
        if name not in limits and not plan.allows(meter):
            return Shortage("plan_lacks_action", name)
        kind = meter.kind
        left: tuple[Lot, ...] | Quota | Window | int | Shortage
        if kind == "credits":
            before = lots.get(name, ())
            left = _take_credits(before, name, amount, moves)
            if left.__class__ is tuple:
                lots = {**lots, name: left}
                due_moved |= len(left) != len(before)
                continue
        elif kind == "quota":
            left = _take_quota(state, plan, meter, amount, now, moves)
            if left.__class__ is Quota:
                due_moved |= name not in quotas
                quotas = {**quotas, name: left}
                continue
        elif kind == "rate":
            left = _take_rate(windows.get(name), plan, meter, amount, now, moves)
            if left.__class__ is Window:
                windows = {**windows, name: left}
                continue
        elif kind == "lease":
            left = _take_owned(held.get(name, 0), plan, meter, amount, moves)
            if left.__class__ is int:
                held = {**held, name: left}
                continue
        else:
            left = _take_owned(counts.get(name, 0), plan, meter, amount, moves)
            if left.__class__ is int:
                counts = {**counts, name: left}
                continue
        if left.__class__ is Shortage:
            shortages.append(left)
    if shortages:
        return min(shortages, key=lambda short: _HARDEST_FIRST[meters[str(short.meter)].kind])
    # By position, which is several times faster than `replace`; the order is that of the fields.
    after = State(
        state.plan, state.plan_version, now, state.seq + 1, state.anchor, state.next_due, state.standing,
        state.ends_at, lots, quotas, windows, held, counts, state.past_due_at,
    )  # fmt: skip
    if due_moved:
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


def _take_credits(lots: tuple[Lot, ...], name: str, amount: int, moves: list[Move]) -> tuple[Lot, ...] | Shortage:
    """What is left of the lots, which stand in spending order (see `in_spending_order`)."""
    # Almost always the first one has it all.
    if lots and not lots[0].locked and amount < lots[0].amount - lots[0].used:
        lot = lots[0]
        moves.append((name, lot.id, -amount))
        first = Lot(
            lot.id, lot.amount, lot.used + amount, lot.source, lot.expires_at, lot.since, lot.until, False, lot.parts
        )  # fmt: skip
        return (first, *lots[1:])
    left = amount
    after: list[Lot] = []
    for lot in lots:
        part = 0 if lot.locked else min(left, lot.amount - lot.used)
        if part:
            left -= part
            moves.append((name, lot.id, -part))
            used = lot.used + part
            if used == lot.amount and lot.source != "plan":
                continue
            lot = Lot(
                lot.id, lot.amount, used, lot.source, lot.expires_at, lot.since, lot.until, lot.locked, lot.parts
            )  # fmt: skip
        after.append(lot)
    if left:
        waiting = sum(lot.amount - lot.used for lot in lots if lot.locked)
        return Shortage(
            "credits_exhausted", name, amount, amount - left, soonest_expiry(lots), verify_email=waiting >= left
        )
    return tuple(after)


def _take_quota(
    state: State, plan: PlanVersion, meter: Meter, amount: int, now: int, moves: list[Move]
) -> Quota | Shortage:
    name = meter.name
    limit = _ceiling(plan, name)
    quota = state.quotas.get(name)
    if quota is None:  # a meter that became a quota after this account was opened
        quota = Quota(0, *period_at(state.anchor, meter.period, now))
    used = quota.used + amount
    if used > limit:
        return Shortage("quota_exhausted", name, amount, max(0, limit - quota.used), quota.end)
    moves.append((name, str(quota.start), -amount))
    return Quota(used, quota.start, quota.end, quota.session_ms)


def _take_rate(
    window: Window | None, plan: PlanVersion, meter: Meter, amount: int, now: int, moves: list[Move]
) -> Window | Shortage:
    limit = _ceiling(plan, meter.name)
    window = slide(window, meter, now)
    used = sum(window.counts)
    if used + amount > limit:
        wait = _rate_wait(window, meter, amount, limit, now)
        return Shortage("rate_limited", meter.name, amount, max(0, limit - used), now + wait, wait)
    moves.append((meter.name, str(window.bucket), -amount))
    return Window(window.bucket, (window.counts[0] + amount, *window.counts[1:]))


def _take_owned(owned: int, plan: PlanVersion, meter: Meter, amount: int, moves: list[Move]) -> int | Shortage:
    """Slots that are held, or things that are owned: a ceiling on what there is."""
    name = meter.name
    limit = _ceiling(plan, name)
    if owned + amount > limit:
        available = max(0, limit - owned)
        if meter.kind == "lease":
            return Shortage("concurrency_exhausted", name, amount, available)
        return Shortage("count_exhausted", name, amount, available)
    moves.append((name, "", -amount))
    return owned + amount


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
    counts = window.counts
    for age in _OLDEST_FIRST:
        if counts[age]:
            return -(-(window.bucket - age + SIXTHS) * meter.window_ms // 6)
    return None


def in_spending_order(lots: tuple[Lot, ...]) -> tuple[Lot, ...]:
    """Soonest-expiring first; among equals what was carried over, then the plan's lot, then the others by age."""
    return tuple(
        sorted(
            lots,
            key=lambda lot: (
                NEVER if lot.expires_at is None else lot.expires_at,
                lot.source != "plan",
                not lot.parts,
                lot.id,
            ),
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
    """The earliest moment at which `advance` has work: a lot's expiry, a period's end, an end of the plan or of grace."""
    moments = [lot.expires_at for lots in state.lots.values() for lot in lots if lot.expires_at is not None]
    moments += [quota.end for quota in state.quotas.values()]
    if state.ends_at is not None:
        moments.append(state.ends_at)
    if state.past_due_at is not None:
        moments.append(state.past_due_at)
    return min(moments, default=None)
