"""A small catalogue with every kind of meter, and a customer whose account lives in memory.

The pure rules are used as the rooms use them: advance first, then decide, then keep the entries.
"""

from __future__ import annotations

from collections.abc import Mapping

from tollhouse.catalog.model import Catalog, Grant, Meter, PlanVersion, Product
from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.ledger import granting, returning
from tollhouse.ledger.granting import Change, NewLot
from tollhouse.ledger.model import Entry, Lot, LotFacts, Shortage, Standing, State
from tollhouse.ledger.plan_lots import Occasion, Payment, grant_plan_lot, roll_over
from tollhouse.ledger.rules import sums, take
from tollhouse.ledger.turning import advance, record

CUSTOMER = "cus_01jd0000000000000000000000"
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

METERS = {
    meter.name: meter
    for meter in (
        Meter("credits", "credits", decimals=3),
        Meter("images", "credits"),
        Meter("sessions", "quota", period="month"),
        Meter("exports", "quota", period="day"),
        Meter("requests", "rate", window_ms=MINUTE),
        Meter("concurrent", "lease", ttl_ms=90_000),
        Meter("projects", "count"),
    )
}
FREE = PlanVersion(
    "free", 1, "Free", 0,
    limits={"sessions": 10, "exports": 3, "requests": 6, "concurrent": 1, "projects": 1},
    grants=(Grant("credits", 100_000, verified_only=True),), prices=(),
)  # fmt: skip
STARTER = PlanVersion(
    "starter", 1, "Starter", 1,
    limits={"sessions": 20, "exports": 6, "requests": 12, "concurrent": 3, "projects": 3},
    grants=(Grant("credits", 1_000_000),), prices=(),
)  # fmt: skip
PRO = PlanVersion(
    "pro", 1, "Pro", 2,
    limits={"sessions": None, "exports": None, "requests": None, "concurrent": None, "projects": None},
    grants=(Grant("credits", 5_000_000), Grant("images", 40, mode="add")), prices=(),
)  # fmt: skip
NARROW = PlanVersion(
    "narrow", 1, "Narrow", 3, limits={"sessions": 5}, grants=(Grant("images", 7, mode="add"),), prices=()
)


def catalog_of(*plans: PlanVersion, meters: Mapping[str, Meter] = METERS) -> Catalog:
    """A catalogue whose first plan is the free one."""
    return Catalog(Product("AI Gate"), dict(meters), {}, {}, {plan.plan: plan for plan in plans}, plans[0].plan)


CATALOG = catalog_of(FREE, STARTER, PRO, NARROW)


def at(text: str) -> int:
    """Milliseconds of `2026-01-31` or `2026-01-31 10:00`, UTC."""
    day, _, clock = text.partition(" ")
    return parse_rfc3339(f"{day}T{clock or '00:00'}:00Z")


class Account:
    """One customer's account in memory: state, every entry, and the table of its lots."""

    def __init__(self, now: int, catalog: Catalog = CATALOG, *, verified: bool = True) -> None:
        self.catalog = catalog
        self.entries: list[Entry] = []
        self.facts: dict[str, LotFacts] = {}
        opened = granting.open_state(CUSTOMER, catalog.plans[catalog.free_plan], catalog, now, verified)
        self.state: State = opened.state
        self._keep(opened, now)

    def _keep(self, change: Change, now: int) -> tuple[Entry, ...]:
        self.state = change.state
        self.entries += change.entries
        for lot, meter in change.made:
            self.facts[lot.id] = LotFacts(
                lot.id, meter, lot.amount, lot.source, lot.expires_at, lot.since, lot.until, None
            )
        for ended in change.ended:
            known = self.facts[ended]
            self.facts[ended] = LotFacts(
                known.id, known.meter, known.amount, known.source, known.expires_at, known.since, known.until, now
            )
        return change.entries

    def until(self, now: int) -> list[Entry]:
        """Let the time come to `now`; the entries that it made."""
        self.state, entries = advance(self.state, self.catalog, now)
        self.entries += entries
        return entries

    def plan(self) -> PlanVersion:
        plan = self.catalog.version(self.state.plan, self.state.plan_version)
        assert plan is not None
        return plan

    def admit(self, now: int, **cost: int) -> Entry | Shortage:
        """An admission, kept when it is allowed."""
        self.until(now)
        taken = take(self.state, self.plan(), self.catalog.meters, cost, now)
        if isinstance(taken, Shortage):
            return taken
        self.state = taken.state
        entry = Entry(taken.state.seq, "admission", "work", now, taken.moves, *sums(taken.state))
        self.entries.append(entry)
        return entry

    def give_back(self, now: int, entry: Entry, **amounts: int) -> dict[str, int]:
        """Return amounts of an admission; what was lost."""
        self.until(now)
        about = [move for other in self.entries if other.target == entry.seq for move in other.moves]
        places = returning.outstanding(entry.moves, about)
        state, moves, lost = returning.give_back(self.state, self.catalog.meters, places, amounts, self.facts, now)
        self.state, returned = record(state, "return", "refund", now, moves, target=entry.seq)
        self.entries.append(returned)
        return lost

    def grant(
        self, now: int, amount: int, meter: str = "credits", expires_at: int | None = None, locked: bool = False
    ) -> Lot:
        """A top-up."""
        self.until(now)
        new = NewLot(meter, amount, "topup", expires_at, locked=locked)
        change = granting.add_lot(self.state, CUSTOMER, new, now, "grant")
        self._keep(change, now)
        return change.made[0][0]

    def pay(
        self, now: int, plan: PlanVersion, period: tuple[int, int], occasion: Occasion = "bought"
    ) -> tuple[Entry, ...]:
        """A paid invoice: the lots of its period."""
        self.until(now)
        entries: tuple[Entry, ...] = ()
        for grant in plan.grants:
            payment = Payment(*period, occasion, "plan_renewed" if occasion == "renewed" else "plan_upgraded")
            carried = roll_over(self.state, self.catalog, CUSTOMER, grant, payment, now)
            if carried is not None:
                entries += self._keep(carried, now)
            change = grant_plan_lot(self.state, self.catalog, CUSTOMER, grant, payment, now)
            entries += self._keep(change, now)
        return entries

    def subscribe(
        self,
        now: int,
        plan: PlanVersion,
        anchor: int | None = None,
        ends_at: int | None = None,
        standing: Standing = "good",
    ) -> tuple[Entry, ...]:
        """What the subscription says now."""
        self.until(now)
        return self._keep(granting.set_plan(self.state, self.catalog, plan, anchor, ends_at, standing, now), now)

    def verify_email(self, now: int) -> tuple[Entry, ...]:
        self.until(now)
        return self._keep(granting.unlock(self.state, now), now)

    def balance(self, meter: str = "credits") -> tuple[int, int]:
        """(total, used) of a credits meter."""
        lots = self.state.lots.get(meter, ())
        return sum(lot.amount for lot in lots), sum(lot.used for lot in lots)
