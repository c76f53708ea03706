"""One account, counted again from its entries alone, and what its document says otherwise. Pure.

`Recount` is fed entry by entry, so that a book of any length needs little memory:

    recount = Recount(customer, catalog)
    for entry in book: recount.add(entry, target_of(entry))
    findings = [*recount.findings, *compare(recount, state, lots, next_due)]

The law is the one in `model.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.kernel.ids import entry_id
from tollhouse.ledger.model import SIXTHS, Entry, Lot, LotFacts, Move, State, Window
from tollhouse.ledger.rules import in_spending_order, next_due

RESTORE = "restore this customer's rows from a backup taken before they were changed outside Tollhouse"
_decode_returned = msgspec.json.Decoder(dict[str, object]).decode


class Discrepancy(msgspec.Struct, frozen=True):
    """Something that the books say twice and differently. Amounts are scaled; `meter` is None for what is about none."""

    customer: str
    meter: str | None
    check: str
    expected: str | int | None
    found: str | int | None
    fix: str = RESTORE


class Recount:
    """What the entries of one customer say, summed as they come, and what is wrong among the entries themselves."""

    def __init__(self, customer: str, catalog: Catalog) -> None:
        self.customer = customer
        self.catalog = catalog
        self.findings: list[Discrepancy] = []
        self.seq = 0
        self.latest = 0
        self.remaining = 0
        self.used = 0
        self.lots: Counter[tuple[str, str]] = Counter()
        self.granted: dict[str, tuple[str, int, int]] = {}  # lot → (meter, amount, position of its grant)
        self.periods: Counter[tuple[str, str]] = Counter()
        self.owned: Counter[str] = Counter()
        self._off = (0, 0)
        self.asked: dict[str, dict[int, int]] = {}  # rate meter → bucket → admitted
        self._left: dict[int, Counter[tuple[str, str]]] = {}  # admission → what it has not given back

    def add(self, entry: Entry, target: Entry | None = None) -> None:
        """The next entry of the book; `target` is the entry that it refers to, where it does."""
        if entry.seq != self.seq + 1:
            missing = f"{self.seq + 1}" if entry.seq == self.seq + 2 else f"{self.seq + 1} to {entry.seq - 1}"
            self.tell(None, "an entry at every position", f"entry {missing}", "no such entry")
        self.seq = entry.seq
        self.latest = max(self.latest, entry.at)
        for meter, place, amount in entry.moves:
            self._move(entry, meter, place, amount)
        off = (entry.remaining - self.remaining, entry.used - self.used)
        if off not in ((0, 0), self._off):
            self.tell(
                None, f"the sums of entry {entry.seq}", f"remaining {self.remaining}, used {self.used}",
                f"remaining {entry.remaining}, used {entry.used}",
            )  # fmt: skip
        self._off = off  # what is off by the same amount ever after is told once
        if entry.target is not None:
            self._return(entry, entry.target, target)

    def tell(self, meter: str | None, check: str, expected: str | int | None, found: str | int | None) -> None:
        """Note a discrepancy."""
        self.findings.append(Discrepancy(self.customer, meter, check, expected, found))

    def _kind(self, meter: str, place: str) -> str:
        known = self.catalog.meters.get(meter)
        if known is not None:
            return known.kind
        return "credits" if place.startswith("lot_") else "quota" if place else "count"

    def _move(self, entry: Entry, meter: str, place: str, amount: int) -> None:
        kind = self._kind(meter, place)
        if kind == "credits":
            self.lots[meter, place] += amount
            self.remaining += amount
            if entry.kind == "grant" and amount > 0:
                self.granted[place] = (meter, amount, entry.seq)
            if self.lots[meter, place] < 0:
                self.tell(meter, f"no more spent from {place} than it had", 0, self.lots[meter, place])
        elif kind == "rate":
            self._ask(meter, int(place), -amount)
        else:
            self.used -= amount
            if kind == "quota":
                self.periods[meter, place] -= amount
            else:
                self.owned[meter] -= amount

    def _ask(self, meter: str, bucket: int, amount: int) -> None:
        buckets = self.asked.setdefault(meter, {})
        buckets[bucket] = buckets.get(bucket, 0) + amount
        if len(buckets) > 8 * SIXTHS:
            newest = max(buckets)
            for old in [number for number in buckets if number <= newest - SIXTHS]:
                del buckets[old]

    def _return(self, entry: Entry, position: int, target: Entry | None) -> None:
        if target is None or target.kind not in ("admission", "hold") or position >= entry.seq:
            found = "no such entry" if target is None else f"a {target.kind}"
            self.tell(None, f"entry {entry.seq} refers to an admission", f"an admission at {position}", found)
            return
        left = self._left.get(position)
        if left is None:
            left = self._left[position] = Counter()
            for meter, place, amount in target.moves:
                left[meter, place] -= amount
        for meter, place, amount in entry.moves:
            if amount < 0:  # a settlement above what was held, a slot taken again
                left[meter, place] -= amount
        for meter, place, amount in _given_back(entry):
            left[meter, place] -= amount
            if left[meter, place] < 0:
                self.tell(meter, f"admission {position} gives back no more than it took", 0, left[meter, place])

    def window(self, meter: str) -> Window | None:
        """The window of a rate meter as its newest admission left it."""
        buckets = self.asked.get(meter)
        if not buckets:
            return None
        newest = max(buckets)
        return Window(newest, tuple(buckets.get(newest - age, 0) for age in range(SIXTHS)))


def _given_back(entry: Entry) -> list[Move]:
    """What an entry counts as given back: what its metadata tells (lost parts are in it), else what it moved."""
    told = _decode_returned(entry.metadata).get("returned") if entry.metadata else None
    if told is None:
        return [move for move in entry.moves if move[2] > 0]
    return msgspec.convert(told, list[Move])


def compare(recount: Recount, state: State, lots: Mapping[str, LotFacts], due: int | None) -> list[Discrepancy]:
    """What the account's document says otherwise than its entries, its lots' rows and its `next_due` column."""
    before = len(recount.findings)
    _compare_book(recount, state, due)
    _compare_credits(recount, state)
    _compare_lots(recount, state, lots)
    _compare_use(recount, state)
    told = recount.findings[before:]
    del recount.findings[before:]
    return told


def _compare_book(recount: Recount, state: State, due: int | None) -> None:
    if state.seq != recount.seq:
        recount.tell(None, "the position of the newest entry", recount.seq, state.seq)
    if recount.latest > state.decided_at:
        recount.tell(None, "no entry is newer than the last decision", state.decided_at, recount.latest)
    if state.next_due != next_due(state):
        recount.tell(None, "when something is due next", next_due(state), state.next_due)
    if due != state.next_due:
        recount.tell(None, "the column next_due", state.next_due, due)


def _compare_credits(recount: Recount, state: State) -> None:
    live = {(meter, lot.id): lot.remaining for meter, kept in state.lots.items() for lot in kept}
    for meter, place in sorted({*live, *recount.lots}):
        expected, found = recount.lots.get((meter, place), 0), live.get((meter, place), 0)
        if expected != found:
            recount.tell(meter, f"what is left in {place}", expected, found)
    for meter, kept in state.lots.items():
        if in_spending_order(kept) != kept:
            recount.tell(meter, "lots stand in the order of spending", "soonest expiry first", "another order")
        for lot in kept:
            if not 0 <= lot.used <= lot.amount:
                recount.tell(meter, f"use of {lot.id} between 0 and {lot.amount}", lot.amount, lot.used)


def _compare_lots(recount: Recount, state: State, lots: Mapping[str, LotFacts]) -> None:
    for lot_id, (meter, amount, seq) in recount.granted.items():
        row = lots.get(lot_id)
        if row is None:
            recount.tell(meter, "every granted lot has its row", lot_id, "no row")
        elif (row.meter, row.amount) != (meter, amount):
            recount.tell(meter, f"the row of {lot_id}", f"{amount} of {meter}", f"{row.amount} of {row.meter}")
        if lot_id != entry_id("lot", recount.customer, seq):
            recount.tell(meter, f"the lot of entry {seq}", entry_id("lot", recount.customer, seq), lot_id)
    for lot_id, row in lots.items():
        if lot_id not in recount.granted:
            recount.tell(row.meter, "every lot was granted by an entry", "a grant", lot_id)
    for meter, kept in state.lots.items():
        for lot in kept:
            row = lots.get(lot.id)
            if row is None:
                recount.tell(meter, "every live lot has its row", lot.id, "no row")
                continue
            if row.ended_at is not None:
                recount.tell(meter, f"{lot.id} has ended", "not in the document", "live")
            expires_at = _plan_lot_expiry(recount, state, lot) if lot.source == "plan" else row.expires_at
            expected = (row.amount, row.source, expires_at, row.since, row.until)
            if expected != (lot.amount, lot.source, lot.expires_at, lot.since, lot.until):
                found = (lot.amount, lot.source, lot.expires_at, lot.since, lot.until)
                recount.tell(meter, f"the terms of {lot.id}", str(expected), str(found))


def _plan_lot_expiry(recount: Recount, state: State, lot: Lot) -> int | None:
    """A plan's lot expires once its subscription is over, at the end of the paid period or when that became known."""
    if lot.until is None or (lot.expires_at is None and state.plan != recount.catalog.free_plan):
        return None
    return lot.until if lot.expires_at is None else max(lot.until, lot.expires_at)


def _compare_use(recount: Recount, state: State) -> None:
    open_periods = {(meter, str(quota.start)): quota.used for meter, quota in state.quotas.items()}
    for meter, place in sorted({*open_periods, *recount.periods}):
        expected, found = recount.periods.get((meter, place), 0), open_periods.get((meter, place), 0)
        if expected != found:
            recount.tell(meter, f"use in the period from {place}", expected, found)
    for meter in sorted({*state.held, *state.counts, *recount.owned}):
        expected, found = recount.owned[meter], state.held.get(meter, 0) + state.counts.get(meter, 0)
        if expected != found:
            recount.tell(meter, "what is held or owned", expected, found)
    for meter in sorted({*state.windows, *recount.asked}):
        window, kept = recount.window(meter), state.windows.get(meter)
        if window != kept:
            recount.tell(meter, "what was asked in the window", _window_text(window), _window_text(kept))


def _window_text(window: Window | None) -> str:
    return "nothing" if window is None else f"{list(window.counts)} up to sixth {window.bucket}"


def recompute(customer: str, entries: Iterable[Entry], catalog: Catalog) -> Recount:
    """A whole book that fits into memory, counted."""
    recount = Recount(customer, catalog)
    known: dict[int, Entry] = {}
    for entry in entries:
        known[entry.seq] = entry
        recount.add(entry, None if entry.target is None else known.get(entry.target))
    return recount
