"""The pure rules against the naive model: whatever a customer lives through, both books say the same.

`HYPOTHESIS_PROFILE=torture` (or `make torture`) plays many more and longer lives.
"""

# reason for length: one state machine, whose rules share the two books that it compares.

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from msgspec.structs import replace

from tests.ledger.naive import FOR_EVER, Lot, Naive, months_later
from tests.ledger.world import CATALOG, CUSTOMER, DAY, FREE, METERS, MINUTE, NARROW, PRO, STARTER
from tollhouse.catalog.model import Grant, PlanVersion
from tollhouse.kernel.errors import Conflict, Unavailable
from tollhouse.ledger import granting, returning
from tollhouse.ledger.book import decode_state, state_document, time_of
from tollhouse.ledger.granting import Change, NewLot
from tollhouse.ledger.model import LARGEST_STATE_BYTES, MOST_LOTS, Entry, LotFacts, Shortage, Standing, State, Taken
from tollhouse.ledger.plan_lots import Payment, grant_plan_lot, roll_over
from tollhouse.ledger.rules import next_due, slide, standing_shortage, sums, take, take_up_to
from tollhouse.ledger.turning import advance, record

BEGINNING = 1_767_225_600_000  # 2026-01-01
REASONS = {
    "credits": "credits_exhausted",
    "quota": "quota_exhausted",
    "rate": "rate_limited",
    "lease": "concurrency_exhausted",
    "count": "count_exhausted",
}
SPANS = st.one_of(
    st.integers(0, 3_000),
    st.integers(0, 2 * MINUTE),
    st.sampled_from([10_000, MINUTE, 70_000, DAY]),
    st.integers(0, 9 * DAY),
)
AMOUNTS = {name: st.sampled_from([1, 1, 2, 3, 5, 7, 400]) for name in METERS} | {
    "credits": st.sampled_from([1, 999, 5_000, 40_000, 60_000, 130_000]),
    "images": st.sampled_from([1, 5, 30, 2_000]),
}
COSTS = st.sets(st.sampled_from(sorted(METERS)), min_size=1, max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: AMOUNTS[name] for name in sorted(names)})
)
PLANS = st.sampled_from([FREE, STARTER, PRO, NARROW])
ROLLOVERS = st.sampled_from([0, 0, 300_000, 1_200_000, None])


class LedgerMachine(RuleBasedStateMachine):
    """One customer's life: `state` and `entries` by the rules, `naive` by the model."""

    admissions = Bundle("admissions")
    state: State
    naive: Naive

    @initialize(start=st.integers(0, 400), verified=st.booleans())
    def sign_up(self, start: int, verified: bool) -> None:
        self.wall = BEGINNING + start * DAY + 1_234
        self.entries: list[Entry] = []
        self.added = 0
        self.places: Counter[tuple[str, str]] = Counter()
        self.facts: dict[str, LotFacts] = {}
        self.admission_entries: dict[int, Entry] = {}
        self.invoices: set[tuple[str, int]] = set()
        self.subscribed_at = self.wall
        change = granting.open_state(CUSTOMER, FREE, CATALOG, self.wall, verified)
        self.naive = Naive(CATALOG, FREE, self.wall, self.wall)
        self.naive.open(self.wall)
        self._keep(change, self.wall)
        for lot, meter in change.made:
            self.naive.lots.append(Lot(lot.id, meter, lot.amount, lot.source, lot.expires_at, locked=lot.locked))

    # How every use case begins and ends.

    def _now(self) -> int | None:
        """The time of this decision, the account brought to it; None when the clocks disagree too far."""
        if self.naive.latest > self.wall + 5_000:
            with pytest.raises(Unavailable):
                time_of(self.state, self.wall)
            return None
        now = time_of(self.state, self.wall)
        assert now == max(self.wall, self.naive.latest)
        self._advance(now)
        return now

    def _advance(self, now: int) -> None:
        halfway = (self.state.decided_at + now) // 2
        first, begun = advance(self.state, CATALOG, halfway)
        by_steps, rest = advance(first, CATALOG, now)
        self.state, turned = advance(self.state, CATALOG, now)
        assert (by_steps, begun + rest) == (self.state, turned)
        assert [entry.at for entry in turned] == sorted(entry.at for entry in turned)
        expected = self.naive.pass_to(now)
        assert Counter((entry.kind, entry.at) for entry in turned) == +expected
        self.entries += turned

    def _keep(self, change: Change, now: int) -> None:
        self.state = change.state
        self.entries += change.entries
        for lot, meter in change.made:
            self.facts[lot.id] = LotFacts(
                lot.id, meter, lot.amount, lot.source, lot.expires_at, lot.since, lot.until, None
            )
        for ended in change.ended:
            self.facts[ended] = replace(self.facts[ended], ended_at=now)

    # Time.

    @rule(span=SPANS)
    def time_passes(self, span: int) -> None:
        self.wall += span

    @rule(span=st.integers(0, 12_000))
    def another_host_is_behind(self, span: int) -> None:
        self.wall -= span

    @rule(days=st.integers(30, 95))
    def nobody_comes_for_months(self, days: int) -> None:
        self.wall += days * DAY + 17
        now = self._now()
        assert now is not None

    # Use.

    @rule(target=admissions, cost=COSTS)
    def admit(self, cost: dict[str, int]) -> object:
        now = self._now()
        if now is None:
            return multiple()
        refused = standing_shortage(self.state)
        assert (refused is None) == (self.naive.standing == "good")
        if refused is not None:
            return multiple()
        answer = take(self.state, self._plan(), METERS, cost, now)
        short = self.naive.short_of(cost, now)
        if short is not None:
            assert isinstance(answer, Shortage)
            self._check_refusal(answer, short, cost, now)
            return multiple()
        assert isinstance(answer, Taken)
        number = len(self.admission_entries)
        assert list(answer.moves) == self.naive.take(number, cost, now)
        self.state = answer.state
        entry = Entry(answer.state.seq, "admission", "work", now, answer.moves, *sums(answer.state))
        self.entries.append(entry)
        self.admission_entries[number] = entry
        self._check_rates(cost, now)
        return number

    def _check_refusal(self, answer: Shortage, short: str, cost: dict[str, int], now: int) -> None:
        assert answer.meter == short
        if self.naive.lacks(short):
            assert answer.code == "plan_lacks_action"
            return
        assert answer.code == REASONS[METERS[short].kind]
        assert (answer.needed, answer.remaining) == (cost[short], self.naive.available(short, now))
        waiting = sum(self.naive.left_in(lot) for lot in self.naive.live(short) if lot.locked)
        if answer.verify_email:
            assert self.naive.available(short, now) + waiting >= cost[short]
        limit = self.naive.plan.limits.get(short)
        if answer.code == "rate_limited" and limit is not None and cost[short] <= limit:
            assert answer.retry_after_ms is not None
            then = now + answer.retry_after_ms
            assert self.naive.asked_in_window(short, then) + cost[short] <= limit
            assert self.naive.asked_in_window(short, then - 1) + cost[short] > limit

    def _check_rates(self, cost: dict[str, int], now: int) -> None:
        """Never more than the limit in any window: the fullest window that ends now is the one to look at."""
        for name in cost:
            limit = self.naive.plan.limits.get(name)
            if METERS[name].kind == "rate" and limit is not None:
                assert self.naive.asked_since(name, now - METERS[name].window_ms) <= limit

    @rule(number=admissions, more=st.dictionaries(st.sampled_from(["credits", "sessions"]), st.integers(1, 2_000_000)))
    def settle_for_more(self, number: int, more: dict[str, int]) -> None:
        now = self._now()
        if now is None or not more:
            return
        possible = {
            name: min(amount, 0 if self.naive.lacks(name) else self.naive.available(name, now))
            for name, amount in more.items()
        }
        after, moves, shortfall = take_up_to(self.state, self._plan(), METERS, more, now)
        taken = {name: amount for name, amount in possible.items() if amount}
        assert list(moves) == self.naive.take(number, taken, now)
        assert shortfall == {name: more[name] - amount for name, amount in possible.items() if amount < more[name]}
        self.state, entry = record(after, "settlement", "settle", now, moves, self.admission_entries[number].seq)
        self.entries.append(entry)

    @rule(number=admissions, share=st.integers(1, 4), meters=st.sets(st.sampled_from(sorted(METERS)), min_size=1))
    def give_back(self, number: int, share: int, meters: set[str]) -> None:
        """A refund, the end of a lease, a settlement below what was held: `share` quarters of what is left."""
        now = self._now()
        if now is None:
            return
        places = {
            (name, place): amount for name in METERS for place, amount in reversed(self.naive.returnable(number, name))
        }
        amounts = {
            name: max(1, share * sum(left for (meter, _), left in places.items() if meter == name) // 4)
            for name in sorted(meters)
            if any(meter == name for meter, _ in places)
        }
        if not amounts:
            return
        try:
            state, moves, lost = returning.give_back(self.state, METERS, places, amounts, self.facts, now)
        except Conflict:  # the lots that would come back have no room beside the live ones
            live = {lot.id for lot in self.naive.live_everywhere()}
            spent = {place for meter, place in places if METERS[meter].kind == "credits"} - live
            assert spent
            assert len(live) + len(spent) > MOST_LOTS * 2 // 3
            return
        given = [self.naive.give_back(number, name, amount, now) for name, amount in amounts.items()]
        assert list(moves) == [move for moved, _ in given for move in moved]
        expected: Counter[str] = Counter()
        for _, gone in given:
            for name, _place, amount in gone:
                expected[name] += amount
        assert lost == +expected
        self.state, entry = record(state, "return", "refund", now, moves, self.admission_entries[number].seq)
        self.entries.append(entry)

    # Credits that come in.

    @rule(
        amount=st.integers(1, 90_000),
        lasts=st.one_of(st.none(), SPANS),
        meter=st.sampled_from(["credits", "images"]),
        locked=st.booleans(),
        times=st.sampled_from([1, 1, 1, 12]),
    )
    def grant(self, amount: int, lasts: int | None, meter: str, locked: bool, times: int) -> None:
        now = self._now()
        if now is None:
            return
        for _ in range(times):
            new = NewLot(meter, amount, "topup", None if lasts is None else now + lasts + 1, locked=locked)
            try:
                change = granting.add_lot(self.state, CUSTOMER, new, now, "grant")
            except Conflict:
                assert len(self.naive.live_everywhere()) > MOST_LOTS * 2 // 3
                return
            self._keep(change, now)
            self._remember(change, now)

    def _remember(self, change: Change, now: int, made_of: Sequence[tuple[str, int]] = ()) -> None:
        for lot, meter in change.made:
            made = Lot(lot.id, meter, lot.amount, lot.source, lot.expires_at, lot.since, lot.until, lot.locked)
            made.made_of += made_of
            self.naive.lots.append(made)
        self.naive.latest = max(self.naive.latest, now)

    @rule(plan=st.sampled_from([STARTER, PRO]), month=st.integers(-2, 8), rollover=ROLLOVERS)
    def invoice_paid(self, plan: PlanVersion, month: int, rollover: int | None) -> None:
        """Paid periods come in any order; each is applied once, as its key in the books says."""
        now = self._now()
        if now is None or (plan.plan, month) in self.invoices:
            return
        period = months_later(self.subscribed_at, month), months_later(self.subscribed_at, month + 1)
        payment = Payment(*period, "renewed", "renewed")
        for grant in plan.grants:
            given = grant if grant.mode == "add" else replace(grant, rollover=rollover)
            parts = self.naive.carried_over(given.meter, given.rollover, period, now)
            try:
                carried = roll_over(self.state, CATALOG, CUSTOMER, given, payment, now)
                between = self.state if carried is None else carried.state
                change = grant_plan_lot(between, CATALOG, CUSTOMER, given, payment, now)
            except Conflict:
                assert len(self.naive.live_everywhere()) > MOST_LOTS * 2 // 3
                return
            assert (carried is None) == (not parts)
            if carried is not None:
                self._carried(carried, given, parts, period, now)
            self._granted(change, given, period, now)
        self.invoices.add((plan.plan, month))

    def _carried(
        self, change: Change, given: Grant, parts: list[tuple[str, int]], period: tuple[int, int], now: int
    ) -> None:
        """One lot of the new period for everything that is carried over; the lots that it comes from are gone."""
        older = [lot for lot in self.naive.plan_lots(given.meter) if lot.until is not None]
        [(made, _)] = change.made
        expires_at = period[1] if self.naive.is_free() else None
        assert (made.amount, made.used, made.since, made.until) == (sum(part for _, part in parts), 0, *period)
        assert (made.expires_at, made.parts) == (expires_at, tuple(parts))
        self._replaced(change, older)
        self._keep(change, now)
        self._remember(change, now, parts)

    def _granted(self, change: Change, given: Grant, period: tuple[int, int], now: int) -> None:
        """The lot of the period that was paid; of one that comes after a later one, what would have been carried over."""
        live, over = self.naive.plan_lots(given.meter), self.naive.is_free()
        newest = [lot for lot in live if lot.since == max(held.since for held in live)]
        if given.mode == "add" or not newest or newest[0].since <= period[0]:
            expected = [] if over and period[1] <= now else [(given.amount, period[1] if over else None, *period)]
            goes = [lot for lot in live if not lot.made_of or lot.since < period[0]] if given.mode == "replace" else []
            parts = []
        else:
            later = newest[0]
            room = FOR_EVER if given.rollover is None else given.rollover
            amount = min(given.amount, room - sum(lot.amount for lot in live if lot.made_of))
            lost = amount <= 0 or period[1] > later.since or (over and period[1] <= now)
            expected = [] if lost else [(amount, later.expires_at, later.since, later.until or 0)]
            goes, parts = [], [(change.made[0][0].id, amount)] if change.made else []
        assert [(made.amount, made.expires_at, made.since, made.until) for made, _ in change.made] == expected
        assert all((made.used, made.parts) == (0, tuple(parts)) for made, _ in change.made)
        self._replaced(change, goes if expected else [])
        self._keep(change, now)
        self._remember(change, now, parts)

    def _replaced(self, change: Change, lots: list[Lot]) -> None:
        assert sorted(change.ended) == sorted(lot.id for lot in lots)
        for lot in lots:
            lot.replaced = True

    @rule()
    def email_verified(self) -> None:
        now = self._now()
        if now is None:
            return
        waiting = [lot for lot in self.naive.live_everywhere() if lot.locked]
        change = granting.unlock(self.state, now)
        assert bool(change.entries) == bool(waiting)
        self._keep(change, now)
        for lot in waiting:
            lot.locked = False
            self.naive.latest = max(self.naive.latest, now)

    # Plans.

    @rule(
        plan=PLANS,
        anchor=st.one_of(st.none(), st.integers(-40 * DAY, 5_000)),
        ends=st.one_of(st.none(), st.integers(-DAY, 40 * DAY)),
        standing=st.sampled_from(["good", "good", "good", "past_due", "blocked"]),
        grace=st.one_of(st.none(), st.integers(-DAY, 9 * DAY)),
    )
    def subscription_says(
        self, plan: PlanVersion, anchor: int | None, ends: int | None, standing: Standing, grace: int | None
    ) -> None:
        now = self._now()
        if now is None:
            return
        at = None if anchor is None else now + anchor
        ends_at = None if ends is None or plan is FREE else now + ends
        past_due_at = None if grace is None else now + grace
        said = plan, at, ends_at, standing
        change = granting.set_plan(self.state, CATALOG, *said, now, past_due_at=past_due_at)
        assert bool(change.entries) == self.naive.subscribe(*said, past_due_at, now)
        self._keep(change, now)
        again = granting.set_plan(self.state, CATALOG, *said, now, past_due_at=past_due_at)
        assert again == Change(self.state, ())
        if at is not None:
            self.subscribed_at = at
            self.invoices.clear()
        self._advance(now)

    # What always holds.

    def _plan(self) -> PlanVersion:
        plan = CATALOG.version(self.state.plan, self.state.plan_version)
        assert plan is not None
        return plan

    @invariant()
    def both_say_the_same(self) -> None:
        state, naive = self.state, self.naive
        assert (state.plan, state.standing, state.ends_at) == (naive.plan.plan, naive.standing, naive.ends_at)
        assert state.past_due_at == naive.past_due_at
        assert (state.anchor, state.decided_at) == (naive.anchor, naive.latest)
        for name, meter in METERS.items():
            if meter.kind == "credits":
                kept = [
                    (lot.id, lot.remaining, lot.expires_at, lot.locked, lot.since, lot.parts)
                    for lot in state.lots.get(name, ())
                ]
                assert kept == [
                    (lot.id, naive.left_in(lot), lot.expires_at, lot.locked, lot.since, tuple(lot.made_of))
                    for lot in naive.live(name)
                ]
            elif meter.kind == "quota":
                quota = state.quotas[name]
                assert ((quota.start, quota.end), quota.used) == (naive.periods[name][-1], naive.used(name))
            elif meter.kind == "rate":
                window = slide(state.windows.get(name), meter, state.decided_at)
                assert sum(window.counts) == naive.asked_in_window(name, state.decided_at)
            else:
                held = state.held if meter.kind == "lease" else state.counts
                assert held.get(name, 0) == naive.used(name)

    @invariant()
    def the_entries_add_up(self) -> None:
        """The law of `ledger/model.py`: what was written since the last look, added to what the entries said before."""
        for entry in self.entries[self.added :]:
            self.added += 1
            assert entry.seq == self.added
            for name, place, amount in entry.moves:
                self.places[name, place] += amount
            assert entry.remaining >= 0
            assert entry.used >= 0
        assert self.state.seq == len(self.entries)
        live = {(name, lot.id): lot.remaining for name, lots in self.state.lots.items() for lot in lots}
        open_periods = {(name, str(quota.start)): -quota.used for name, quota in self.state.quotas.items()}
        remaining = used = 0
        for (name, place), amount in self.places.items():
            kind = METERS[name].kind
            remaining += amount if kind == "credits" else 0
            used -= amount if kind in ("quota", "lease", "count") else 0
            if kind in ("credits", "quota"):
                assert amount == live.get((name, place), 0) + open_periods.get((name, place), 0)
        assert (remaining, used) == (self.entries[-1].remaining, self.entries[-1].used)
        assert all(self.places[place] == amount for place, amount in live.items())

    @invariant()
    def the_document_is_small_and_true(self) -> None:
        document = state_document(self.state)
        assert len(document.encode()) <= LARGEST_STATE_BYTES
        assert decode_state(document) == self.state
        lots = [lot for kept in self.state.lots.values() for lot in kept]
        assert len(lots) <= MOST_LOTS
        assert all(0 <= lot.used <= lot.amount for lot in lots)

    @invariant()
    def what_is_due_next_is_known(self) -> None:
        state = self.state
        assert state.next_due == next_due(state)
        assert state.next_due is not None
        assert advance(state, CATALOG, state.next_due - 1) == (state, [])
        assert advance(state, CATALOG, state.next_due)[1]
        assert advance(state, CATALOG, state.decided_at)[0].decided_at == state.decided_at


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


TORTURE = _settings(5_000, 80)


class LongLedgerMachine(LedgerMachine):
    """The same life, longer."""


TestLedger = pytest.mark.timeout(3_600)(LedgerMachine.TestCase)
TestLedger.settings = TORTURE if os.environ.get("HYPOTHESIS_PROFILE") == "torture" else _settings(500, 40)

TestLedgerForLong = pytest.mark.torture(pytest.mark.timeout(0)(LongLedgerMachine.TestCase))
TestLedgerForLong.settings = TORTURE
