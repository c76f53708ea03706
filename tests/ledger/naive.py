"""The design's rules once more, slow and obvious: lists of everything that ever happened, sums made anew at every question.

Written from the design's words, not from the code. Nothing is kept that could be counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tollhouse.catalog.model import Catalog, PlanVersion

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOR_EVER = 10**18
MOST_ORIGINS = 12
WHICH_TO_NAME = ["credits", "quota", "count", "lease", "rate"]


def months_later(anchor_ms: int, months: int) -> int:
    """The same day and time so many months later; the last day of a month that is too short for it."""
    anchor = EPOCH + timedelta(milliseconds=anchor_ms)
    year, month = anchor.year, anchor.month
    for _ in range(abs(months)):
        month += 1 if months > 0 else -1
        if month in (0, 13):
            year, month = (year + 1, 1) if month == 13 else (year - 1, 12)
    day = anchor.day
    while True:
        try:
            moment = anchor.replace(year=year, month=month, day=day)
        except ValueError:
            day -= 1
        else:
            return round((moment - EPOCH) / timedelta(milliseconds=1))


def period_around(anchor: int, unit: str, now: int) -> tuple[int, int]:
    """The period of the anchor's grid that `now` lies in."""

    def line(number: int) -> int:
        return anchor + number * 86_400_000 if unit == "day" else months_later(anchor, number)

    number = 0
    while line(number) > now:
        number -= 1
    while line(number + 1) <= now:
        number += 1
    return line(number), line(number + 1)


@dataclass
class Lot:
    """Credits that came in once."""

    id: str
    meter: str
    amount: int
    source: str
    expires_at: int | None
    since: int = 0
    until: int | None = None
    locked: bool = False
    replaced: bool = False
    expired: bool = False
    made_of: list[tuple[str, int]] = field(
        default_factory=list
    )  # carried over: how much from which lot, first spent first


@dataclass
class Moved:
    """Something taken from a place, or given back to it, by one admission."""

    at: int
    admission: int
    meter: str
    place: str
    amount: int


@dataclass
class Naive:
    """One customer, remembered event by event."""

    catalog: Catalog
    plan: PlanVersion
    anchor: int
    latest: int
    standing: str = "good"
    ends_at: int | None = None
    past_due_at: int | None = None
    lots: list[Lot] = field(default_factory=list)
    taken: list[Moved] = field(default_factory=list)
    back: list[Moved] = field(default_factory=list)
    lost: list[Moved] = field(default_factory=list)
    periods: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def open(self, now: int) -> None:
        for name, meter in self.catalog.meters.items():
            if meter.kind == "quota":
                self.periods[name] = [period_around(self.anchor, meter.period, now)]

    # What there is, counted from the events.

    def left_in(self, lot: Lot) -> int:
        gone = sum(move.amount for move in self.taken if move.place == lot.id)
        returned = sum(move.amount for move in self.back if move.place == lot.id)
        return lot.amount - gone + returned

    def live(self, meter: str) -> list[Lot]:
        """Lots that count, in the order in which they are spent."""
        counted = [
            (FOR_EVER if lot.expires_at is None else lot.expires_at, lot.source != "plan", not lot.made_of, number)
            for number, lot in enumerate(self.lots)
            if lot.meter == meter
            and not lot.replaced
            and not lot.expired
            and (lot.source == "plan" or self.left_in(lot) > 0)
        ]
        return [self.lots[number] for *_, number in sorted(counted)]

    def live_everywhere(self) -> list[Lot]:
        return [lot for meter in self.catalog.meters for lot in self.live(meter)]

    def used(self, meter: str) -> int:
        """Use of a quota in its open period, of slots or of things owned since ever."""
        place = str(self.periods[meter][-1][0]) if meter in self.periods else ""
        taken = sum(move.amount for move in self.taken if (move.meter, move.place) == (meter, place))
        return taken - sum(move.amount for move in self.back if (move.meter, move.place) == (meter, place))

    def asked_in_window(self, meter: str, now: int) -> int:
        """What was admitted in the sixth of the window that `now` lies in, and the six before it."""
        length = self.catalog.meters[meter].window_ms
        first = now * 6 // length - 6
        return sum(move.amount for move in self.taken if move.meter == meter and move.at * 6 // length >= first)

    def asked_since(self, meter: str, after: int) -> int:
        return sum(move.amount for move in self.taken if move.meter == meter and move.at > after)

    # What may be done.

    def available(self, meter: str, now: int) -> int:
        kind, limit = self.catalog.meters[meter].kind, self.plan.limits.get(meter, 0)
        if kind == "credits":
            return sum(self.left_in(lot) for lot in self.live(meter) if not lot.locked)
        if limit is None:
            return FOR_EVER
        return max(0, limit - (self.asked_in_window(meter, now) if kind == "rate" else self.used(meter)))

    def lacks(self, meter: str) -> bool:
        granted = {grant.meter for grant in self.plan.grants}
        return meter not in self.plan.limits and meter not in granted

    def short_of(self, cost: Mapping[str, int], now: int) -> str | None:
        """The meter that refuses this, None when it may be done."""
        for meter in cost:
            if self.lacks(meter):
                return meter
        short = [meter for meter, amount in cost.items() if amount > self.available(meter, now)]
        kinds = {meter: WHICH_TO_NAME.index(self.catalog.meters[meter].kind) for meter in short}
        return min(short, key=lambda meter: kinds[meter]) if short else None

    def take(self, admission: int, cost: Mapping[str, int], now: int) -> list[tuple[str, str, int]]:
        """Write down what an admission takes; its moves."""
        moves: list[tuple[str, str, int]] = []
        for meter, amount in cost.items():
            for place, part in self._from(meter, amount, now):
                self.taken.append(Moved(now, admission, meter, place, part))
                moves.append((meter, place, -part))
        self.latest = max(self.latest, now)
        return moves

    def _from(self, meter: str, amount: int, now: int) -> Iterator[tuple[str, int]]:
        settings = self.catalog.meters[meter]
        if settings.kind == "credits":
            for lot in self.live(meter):
                part = 0 if lot.locked else min(amount, self.left_in(lot))
                amount -= part
                if part:
                    yield lot.id, part
        elif settings.kind == "rate":
            yield str(now * 6 // settings.window_ms), amount
        else:
            yield str(self.periods[meter][-1][0]) if meter in self.periods else "", amount

    # What comes back.

    def returnable(self, admission: int, meter: str) -> list[tuple[str, int]]:
        """(place, amount) that this admission has not given back, the last taken first."""
        left: dict[str, int] = {}
        for move in self.taken:
            if (move.admission, move.meter) == (admission, meter):
                left[move.place] = left.get(move.place, 0) + move.amount
        for move in [*self.back, *self.lost]:
            if (move.admission, move.meter) == (admission, meter):
                left[move.place] -= move.amount
        return [(place, amount) for place, amount in reversed(left.items()) if amount]

    def give_back(
        self, admission: int, meter: str, amount: int, now: int
    ) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
        """Write down what comes back; (moves, lost)."""
        moves, lost = [], []
        for place, available in self.returnable(admission, meter):
            part = min(amount, available)
            amount -= part
            if not part:
                continue
            moved = Moved(now, admission, meter, place, part)
            if self._still_there(meter, place, now):
                self.back.append(moved)
                moves.append((meter, place, part))
            else:
                self.lost.append(moved)
                lost.append((meter, place, part))
        self.latest = max(self.latest, now)
        return moves, lost

    def _still_there(self, meter: str, place: str, now: int) -> bool:
        kind = self.catalog.meters[meter].kind
        if kind == "credits":
            (lot,) = [lot for lot in self.lots if lot.id == place]
            return not lot.replaced and not lot.expired and (lot.expires_at is None or lot.expires_at > now)
        if kind == "quota":
            return place == str(self.periods[meter][-1][0])
        return kind != "rate"

    # What time does.

    def pass_to(self, now: int) -> Counter[tuple[str, int]]:
        """Let everything happen that is due by `now`, in order; how many entries of which kind and date that makes."""
        happened: Counter[tuple[str, int]] = Counter()
        while True:
            due = [lot.expires_at for lot in self.live_everywhere() if lot.expires_at is not None]
            due += [periods[-1][1] for periods in self.periods.values()]
            due += [moment for moment in (self.ends_at, self.past_due_at) if moment is not None]
            when = min(due, default=FOR_EVER)
            if when > now:
                return happened
            self.latest = max(self.latest, when)
            for lot in self.live_everywhere():
                if lot.expires_at is not None and lot.expires_at <= when:
                    lot.expired = True
                    happened["expiry", when] += 1
            if self.ends_at is not None and self.ends_at <= when:
                self.plan, self.ends_at = self.catalog.plans[self.catalog.free_plan], None
                self.past_due_at = None
                self._keep_to_paid_end(when)
                happened["plan", when] += 1
                continue
            if self.past_due_at is not None and self.past_due_at <= when:
                self.standing = "past_due" if self.standing == "good" else self.standing
                self.past_due_at = None
                happened["standing", when] += 1
                continue
            turned = [name for name, periods in self.periods.items() if periods[-1][1] <= when]
            for name in turned:
                self.periods[name].append((when, period_around(self.anchor, self.catalog.meters[name].period, when)[1]))
            happened["turn", when] += 1 if turned else 0

    def _keep_to_paid_end(self, now: int) -> None:
        for lot in self.live_everywhere():
            stays = lot.expires_at is None or (lot.until is not None and lot.expires_at > lot.until)
            if lot.source == "plan" and lot.until is not None and stays:
                lot.expires_at = max(now, lot.until)

    # What is carried over.

    def plan_lots(self, meter: str) -> list[Lot]:
        return [lot for lot in self.live(meter) if lot.source == "plan"]

    def origins(self, lot: Lot) -> list[tuple[str, int]]:
        """From which lots comes what is left of this one: the first of them was spent first."""
        left, origins = self.left_in(lot), []
        for origin, amount in reversed(lot.made_of or [(lot.id, lot.amount)]):
            part = min(left, amount)
            left -= part
            origins += [(origin, part)] if part else []
        return origins[::-1]

    def carried_over(self, meter: str, ceiling: int | None, period: tuple[int, int], now: int) -> list[tuple[str, int]]:
        """What a renewal for this period carries over of the plan's paid lots, at most so much: the first spent ends first."""
        held = self.plan_lots(meter)
        if any(lot.since >= period[0] for lot in held) or (self.is_free() and period[1] <= now):
            return []
        carried = [part for lot in held if lot.until is not None for part in self.origins(lot)]
        surplus = max(0, sum(amount for _, amount in carried) - (FOR_EVER if ceiling is None else ceiling))
        while surplus:
            origin, amount = carried.pop(0)
            carried[:0] = [(origin, amount - surplus)] if amount > surplus else []
            surplus -= min(surplus, amount)
        while len(carried) > MOST_ORIGINS:
            (_, first), (origin, second) = carried[:2]
            carried[:2] = [(origin, first + second)]
        return carried

    def is_free(self) -> bool:
        return self.plan.plan == self.catalog.free_plan

    # What the subscription says.

    def _shown(self) -> str:
        return repr((self.plan, self.anchor, self.standing, self.ends_at, self.past_due_at, self.periods, self.lots))

    def subscribe(
        self,
        plan: PlanVersion,
        anchor: int | None,
        ends_at: int | None,
        standing: str,
        past_due_at: int | None,
        now: int,
    ) -> bool:
        """Take over what it says; whether that changed anything."""
        before = self._shown()
        if ends_at is not None and ends_at <= now:
            plan, ends_at, past_due_at = self.catalog.plans[self.catalog.free_plan], None, None
        if past_due_at is not None and past_due_at <= now:  # grace is over already
            past_due_at = None
            standing = "past_due" if standing == "good" else standing
        moved = anchor is not None and anchor != self.anchor
        self.anchor = self.anchor if anchor is None else anchor
        for name, periods in self.periods.items():
            start, end = period_around(self.anchor, self.catalog.meters[name].period, now)
            if start > periods[-1][0]:
                periods.append((start, end))
            elif moved:
                periods[-1] = (periods[-1][0], end)
        if plan.plan != self.plan.plan and plan.plan == self.catalog.free_plan:
            self._keep_to_paid_end(now)
        elif plan.plan != self.plan.plan:
            for lot in self.live_everywhere():
                if lot.source == "plan" and lot.until is not None:
                    lot.expires_at = None
        self.plan, self.ends_at, self.standing, self.past_due_at = plan, ends_at, standing, past_due_at
        changed = before != self._shown()
        self.latest = max(self.latest, now) if changed else self.latest
        return changed
