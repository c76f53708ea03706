"""Every account counted again from its entries, straight from the database; also the keys and their answers.

Customers are read in pages, each page in one snapshot, so that a running `serve` neither disturbs nor is disturbed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import NotFound
from tollhouse.kernel.ids import entry_id
from tollhouse.kernel.units import unscale
from tollhouse.ledger import queries
from tollhouse.ledger.book import decode_moves, decode_state
from tollhouse.ledger.model import Entry, LotFacts, Move, State
from tollhouse.ledger.recount import Discrepancy, Recount, compare
from tollhouse.store import Row, Sql, Store, Tx, Value, cell_of

CUSTOMERS_A_PAGE = 500
ROWS_A_READ = 2_000
MOST_FINDINGS = 1_000
"""Findings that a report lists; more are counted."""

_ABOVE_ALL = "zzzz"  # above every lot's id and every operation
_LAST_CELL = 32_767
_PREFIX = {"admit": "adm", "hold": "hld", "grant": "ent", "refund": "ent"}
_KINDS = {"admit": ("admission",), "hold": ("hold",), "grant": ("grant",), "refund": ("return",)}

At = tuple[int, str]
"""(cell, customer)."""

Accounts = dict[At, State]
"""States of a page, in the database's order."""
PageCheck = Callable[[Tx, Catalog, Accounts], Awaitable[list[Discrepancy]]]
"""A higher room's look at the same customers in the same snapshot."""


class Report(msgspec.Struct, frozen=True):
    """What was looked at and what was found."""

    customers: int
    entries: int
    keys: int
    findings: list[Discrepancy]
    findings_in_all: int


class _Answer(msgspec.Struct, frozen=True):
    """What every kept answer may say about its entry."""

    id: str | None = None
    allowed: bool = True
    debits: dict[str, Decimal] | None = None
    lot: str | None = None
    amount: int | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


class _Span(msgspec.Struct, frozen=True):
    """Accounts of one page, after the customer `after` (or exactly one customer) up to `last`."""

    accounts: list[Row]
    after: At
    last: At
    alone: bool = False


class _Tally:
    """Counts and findings so far."""

    def __init__(self) -> None:
        self.customers = self.entries = self.keys = self.found = 0
        self.findings: list[Discrepancy] = []

    def tell(self, findings: Sequence[Discrepancy]) -> None:
        self.found += len(findings)
        self.findings += findings[: max(0, MOST_FINDINGS - len(self.findings))]


async def verify_all(
    store: Store,
    catalog: Catalog,
    *,
    customer: str | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    checks: Sequence[PageCheck] = (),
) -> Report:
    """Verify every customer, or one. `progress` hears (customers done, customers in all) after every page.

    Raises NotFound for a customer without an account.
    """
    tally = _Tally()
    async with store.reading() as tx:
        row = await tx.fetch_one(queries.COUNT_ACCOUNTS)
    of = 1 if customer is not None else int(row["accounts"]) if row else 0
    after: At | None = (-1, "")
    while after is not None:
        async with store.snapshot() as tx:
            span = await _page(tx, after) if customer is None else await _alone(tx, customer)
            await _verify_span(tx, catalog, span, tally, checks)
        tally.customers += len(span.accounts)
        progress(tally.customers, max(of, tally.customers))
        after = span.last if len(span.accounts) == CUSTOMERS_A_PAGE else None
    return Report(tally.customers, tally.entries, tally.keys, tally.findings, tally.found)


async def _page(tx: Tx, after: At) -> _Span:
    rows = await tx.fetch(queries.ACCOUNTS_TO_VERIFY, cell=after[0], customer=after[1], most=CUSTOMERS_A_PAGE)
    full = len(rows) == CUSTOMERS_A_PAGE
    return _Span(rows, after, (rows[-1]["cell"], rows[-1]["customer"]) if full else (_LAST_CELL, ""))


async def _alone(tx: Tx, customer: str) -> _Span:
    rows = await tx.fetch(queries.ACCOUNT_TO_VERIFY, cell=cell_of(customer), customer=customer)
    if not rows:
        raise NotFound(f"there is no customer {customer}", code="customer_not_found", fix="write its id, cus_…")
    at = (cell_of(customer), customer)
    return _Span(rows[:1], at, at, True)


async def _verify_span(tx: Tx, catalog: Catalog, span: _Span, tally: _Tally, checks: Sequence[PageCheck]) -> None:
    recounts = {(row["cell"], row["customer"]): Recount(row["customer"], catalog) for row in span.accounts}
    orphans: dict[At, Discrepancy] = {}
    async for row in _entries(tx, span):
        tally.entries += 1
        recount = recounts.get((row["cell"], row["customer"]))
        if recount is None:
            _orphan(orphans, row, "entries")
        else:
            _add(recount, row)
    lots: dict[At, dict[str, LotFacts]] = {}
    async for row in _lots(tx, span):
        at = (row["cell"], row["customer"])
        lots.setdefault(at, {})[row["id"]] = _lot(row)
        if at not in recounts:
            _orphan(orphans, row, "lots")
    async for row in _keys(tx, span):
        tally.keys += 1
        if (row["cell"], row["customer"]) in recounts:
            tally.tell(check_key(catalog, row))
        else:
            _orphan(orphans, row, "keys")
    states: dict[At, State] = {}
    for row in span.accounts:
        at = (row["cell"], row["customer"])
        state = _state(recounts[at], row)
        if state is not None:
            states[at] = state
            _check_account(recounts[at], catalog, row, state)
            tally.tell(compare(recounts[at], state, lots.get(at, {}), row["next_due"]))
        tally.tell(recounts[at].findings)
    tally.tell(list(orphans.values()))
    for check in checks:
        tally.tell(await check(tx, catalog, states))


def _state(recount: Recount, row: Row) -> State | None:
    try:
        return decode_state(row["state"])
    except msgspec.DecodeError as error:
        recount.tell(None, "the account's document can be read", "a document", str(error))
        return None


def _check_account(recount: Recount, catalog: Catalog, row: Row, state: State) -> None:
    if row["cell"] != cell_of(row["customer"]):
        recount.tell(None, "the customer's cell", cell_of(row["customer"]), row["cell"])
    if catalog.version(state.plan, state.plan_version) is None:
        recount.tell(None, "the plan is one that was sold", "a known version", f"{state.plan} {state.plan_version}")


def _orphan(orphans: dict[At, Discrepancy], row: Row, what: str) -> None:
    at = (row["cell"], row["customer"])
    if at not in orphans:
        orphans[at] = Discrepancy(row["customer"], None, f"{what} belong to an account", "an account", "none")


def _add(recount: Recount, row: Row) -> None:
    """Feed one row; what cannot be read is a finding."""
    try:
        moves = decode_moves(row["moves"])
        target = None
        if row["target_moves"] is not None:
            seq = row["target"]
            target = Entry(seq, row["target_kind"], "", 0, decode_moves(row["target_moves"]), 0, 0)
        entry = Entry(
            row["seq"], row["kind"], row["action"], row["at"], moves,
            row["remaining"], row["used"], row["target"], row["metadata"],
        )  # fmt: skip
        recount.add(entry, target)
    except (msgspec.DecodeError, ValueError) as error:
        recount.tell(None, f"entry {row['seq']} can be read", "moves", str(error))


def _lot(row: Row) -> LotFacts:
    return LotFacts(
        row["id"], row["meter"], row["amount"], row["source"], row["expires_at"], row["since"], row["until"],
        row["ended_at"],
    )  # fmt: skip


def check_key(catalog: Catalog, row: Row) -> list[Discrepancy]:
    """Whether a kept answer belongs to an entry that says the same."""
    customer, operation, seq = row["customer"], row["operation"], row["seq"]
    name = f"{operation} key {row['key']!r}"
    if row["kind"] is None:
        return [Discrepancy(customer, None, f"the entry of the {name}", f"entry {seq}", "no such entry")]
    if operation not in _KINDS:
        return []
    if row["kind"] not in _KINDS[operation]:
        expected = " or ".join(_KINDS[operation])
        return [Discrepancy(customer, None, f"the entry of the {name}", f"a {expected}", f"a {row['kind']}")]
    try:
        answer, moves = _decode_answer(row["answer"]), decode_moves(row["moves"])
    except msgspec.DecodeError as error:
        return [Discrepancy(customer, None, f"the answer of the {name} can be read", "an answer", str(error))]
    findings: list[Discrepancy] = []
    identifier = entry_id(_PREFIX[operation], customer, seq)
    if answer.id != identifier or not answer.allowed:
        findings.append(Discrepancy(customer, None, f"the id in the answer of the {name}", identifier, answer.id))
    if operation in ("admit", "hold"):
        findings += _check_debits(catalog, customer, name, answer, moves)
    if operation == "grant" and not any((place, amount) == (answer.lot, answer.amount) for _, place, amount in moves):
        found = f"{answer.amount} in {answer.lot}"
        findings.append(Discrepancy(customer, None, f"the lot in the answer of the {name}", str(moves), found))
    return findings


def _check_debits(
    catalog: Catalog, customer: str, name: str, answer: _Answer, moves: tuple[Move, ...]
) -> list[Discrepancy]:
    taken: dict[str, int] = {}
    for meter, _place, amount in moves:
        taken[meter] = taken.get(meter, 0) - amount
    debits = answer.debits or {}
    findings: list[Discrepancy] = []
    for meter in sorted({*taken, *debits}):
        if meter in catalog.meters:
            expected = unscale(taken.get(meter, 0), catalog.meters[meter].decimals)
            if expected != debits.get(meter, 0):
                check = f"the debit in the answer of the {name}"
                findings.append(Discrepancy(customer, meter, check, str(expected), str(debits.get(meter, 0))))
    return findings


def _entries(tx: Tx, span: _Span) -> AsyncIterator[Row]:
    return _read(tx, queries.ENTRIES_TO_VERIFY, span, {"seq": -1 if span.alone else 1 << 62})


def _lots(tx: Tx, span: _Span) -> AsyncIterator[Row]:
    return _read(tx, queries.LOTS_TO_VERIFY, span, {"id": "" if span.alone else _ABOVE_ALL})


def _keys(tx: Tx, span: _Span) -> AsyncIterator[Row]:
    return _read(tx, queries.KEYS_TO_VERIFY, span, {"operation": "" if span.alone else _ABOVE_ALL, "key": ""})


async def _read(tx: Tx, sql: Sql, span: _Span, cursor: dict[str, Value]) -> AsyncIterator[Row]:
    """Every row of the span, a few thousand at a time: a customer's book may be of any length."""
    cursor = {"cell": span.after[0], "customer": span.after[1], **cursor}
    while True:
        rows = await tx.fetch(sql, **cursor, last_cell=span.last[0], last_customer=span.last[1], most=ROWS_A_READ)
        for row in rows:
            yield row
        if len(rows) < ROWS_A_READ:
            return
        cursor = {name: rows[-1][name] for name in cursor}
