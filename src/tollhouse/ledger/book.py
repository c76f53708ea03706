"""Writing one customer's book outside the lanes: the row is locked first, the version goes up (rule 2).

    book = await open_book(tx, catalog, customer, now)   # locks, advances
    book.apply(granting.unlock(book.state, now))
    await book.save(tx)

What is here is shared by every action that changes an account; the rules themselves are pure and live beside it.
"""

from collections.abc import Iterable
from functools import lru_cache

import msgspec
import structlog

from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.errors import ConfigurationError, InvariantBroken, KeyReused, NotFound, Unavailable
from tollhouse.kernel.money import Money
from tollhouse.ledger import queries
from tollhouse.ledger.balances import balances_told
from tollhouse.ledger.granting import Change
from tollhouse.ledger.model import LARGEST_STATE_BYTES, Entry, Lot, LotFacts, Move, State
from tollhouse.ledger.turning import advance
from tollhouse.store import Row, Tx, Value, cell_of, outbox

log = structlog.get_logger(__name__)

AHEAD_MS = 5_000
"""A `decided_at` that lies further ahead than this is a clock that cannot be believed (rule 6)."""

encode = msgspec.json.Encoder(decimal_format="number").encode
decode_state = msgspec.json.Decoder(State).decode
decode_moves = msgspec.json.Decoder(tuple[Move, ...]).decode
_decode_object = msgspec.json.Decoder(dict[str, object]).decode


def plan_of(catalog: Catalog, state: State) -> PlanVersion:
    """The plan version that this customer is on. Raises ConfigurationError when nobody knows it any more."""
    plan = catalog.version(state.plan, state.plan_version)
    if plan is None:
        raise ConfigurationError(
            f"a customer is on version {state.plan_version} of the plan {state.plan!r}, which is unknown",
            setting=f"plans.{state.plan}",
            fix="run `tollhouse db upgrade` with the file that this database was used with",
        )
    return plan


def time_of(state: State, now: int) -> int:
    """`now`, never below `decided_at`. Raises Unavailable when the two are more than 5 s apart the wrong way."""
    if state.decided_at > now + AHEAD_MS:
        log.error("clock.behind_the_books", by_ms=state.decided_at - now, fix="check the time service of every host")
        raise Unavailable(
            f"the customer's last decision lies {state.decided_at - now} ms ahead of the database's clock",
            code="clock_disagrees",
            fix="check the time service of the database's host; nothing was written",
        )
    return max(now, state.decided_at)


class Book:
    """One locked account: its state, and what will be written when it is saved."""

    def __init__(
        self, customer: str, version: int | None, state: State, now: int, catalog: Catalog | None = None
    ) -> None:
        self.customer = customer
        self.cell = cell_of(customer)
        self.version = version
        self.state = state
        self.now = now
        self._before = state
        self._catalog = catalog  # without it nobody is told of balances: an account that is being opened
        self.entries: list[Entry] = []
        self._made: list[tuple[Lot, str, Money | None, str | None]] = []
        self._ended: list[str] = []

    def apply(self, change: Change, paid: Money | None = None, reason: str | None = None) -> None:
        """Take in what a rule did. `paid` is what the lots it made were bought for."""
        self.state = change.state
        self.entries += change.entries
        self._made += [(lot, meter, paid, reason) for lot, meter in change.made]
        self._ended += change.ended

    def add(self, state: State, entries: Iterable[Entry]) -> None:
        """Take in a new state with its entries."""
        self.state = state
        self.entries += entries

    async def save(self, tx: Tx) -> None:
        """Write the account, its entries and lots. Raises InvariantBroken when the version moved under the lock."""
        if not self.entries:
            return
        document = state_document(self.state)
        at: dict[str, Value] = {"cell": self.cell, "customer": self.customer}
        if self.version is None:
            await tx.execute(queries.INSERT_ACCOUNT, **at, state=document, next_due=self.state.next_due)
        else:
            changed = await tx.execute(
                queries.UPDATE_ACCOUNT, **at, version=self.version, state=document, next_due=self.state.next_due
            )
            if changed != 1:
                raise InvariantBroken(f"the account of {self.customer} changed although it was locked")
        await tx.execute_many(queries.INSERT_ENTRY, [entry_row(self.customer, entry) for entry in self.entries])
        for lot, meter, paid, reason in self._made:
            await tx.execute(
                queries.INSERT_LOT, **at, id=lot.id, meter=meter, amount=lot.amount, source=lot.source,
                granted_at=self.now, expires_at=lot.expires_at, since=lot.since, until=lot.until,
                paid_minor=paid.amount_minor if paid else None, currency=paid.currency if paid else None, reason=reason,
            )  # fmt: skip
        for ended in self._ended:
            await tx.execute(queries.END_LOT, **at, id=ended, ended_at=self.now)
        if self._catalog is not None:
            for fact, key in balances_told(self.customer, self._before, self.state, self._catalog):
                await outbox.put_once(tx, fact, key, customer=self.customer, now=self.now)


def state_document(state: State) -> str:
    """The account's document. Raises InvariantBroken past 8 kB."""
    document = encode(state).decode()
    if len(document) > LARGEST_STATE_BYTES:
        raise InvariantBroken(f"the account's document is {len(document)} bytes, more than {LARGEST_STATE_BYTES}")
    return document


def entry_row(customer: str, entry: Entry) -> dict[str, str | int | None]:
    """The row of an entry, by column name."""
    return {
        "cell": cell_of(customer), "customer": customer, "seq": entry.seq, "kind": entry.kind, "action": entry.action,
        "at": entry.at, "moves": encode(entry.moves).decode(), "remaining": entry.remaining, "used": entry.used,
        "target": entry.target, "metadata": entry.metadata,
    }  # fmt: skip


def entry_from(row: Row) -> Entry:
    """An entry as it was written."""
    return Entry(
        row["seq"], row["kind"], row["action"], row["at"], decode_moves(row["moves"]),
        row["remaining"], row["used"], row["target"], row["metadata"],
    )  # fmt: skip


@lru_cache(maxsize=4_096)
def metadata_of(text: str | None) -> dict[str, object]:
    """The metadata of an entry as an object (empty when there is none)."""
    return _decode_object(text) if text else {}


async def open_book(tx: Tx, catalog: Catalog, customer: str, now: int) -> Book:
    """Lock a customer's account and bring it to `now`. Raises NotFound, or Unavailable when clocks disagree."""
    row = await tx.fetch_one(queries.LOCK_ACCOUNT, cell=cell_of(customer), customer=customer)
    if row is None:
        raise _missing(customer)
    return book_of(customer, row, catalog, now)


async def open_books(tx: Tx, catalog: Catalog, customers: Iterable[str], now: int) -> dict[str, Book]:
    """As `open_book`, several in one round trip: locked in the order in which the lanes lock a batch."""
    names = sorted(set(customers))
    places: list[dict[str, Value]] = [{"cell": cell_of(name), "customer": name} for name in names]
    rows = {row["customer"]: row for row in await tx.fetch_many(queries.LOCK_ACCOUNT, places)}
    for name in names:
        if name not in rows:
            raise _missing(name)
    return {name: book_of(name, rows[name], catalog, now) for name in names}


def _missing(customer: str) -> NotFound:
    return NotFound(
        f"there is no customer {customer}", code="customer_not_found", fix="create it with POST /v1/customers"
    )


def book_of(customer: str, row: Row, catalog: Catalog, now: int) -> Book:
    """The book of an account whose row was locked by the caller, brought to `now`."""
    state = decode_state(row["state"])
    at = time_of(state, now)
    book = Book(customer, row["version"], state, at, catalog)
    book.add(*advance(state, catalog, at))
    return book


async def read_state(tx: Tx, catalog: Catalog, customer: str, now: int) -> State:
    """A customer's state as it stands at `now`, without writing. Raises NotFound."""
    row = await tx.fetch_one(queries.READ_ACCOUNT, cell=cell_of(customer), customer=customer)
    if row is None:
        raise _missing(customer)
    state = decode_state(row["state"])
    return advance(state, catalog, max(now, state.decided_at))[0]


async def first_answer(tx: Tx, customer: str, operation: str, key: str, fingerprint: bytes) -> str | None:
    """The answer this key was given first, or None. Raises KeyReused when it came with another request."""
    row = await tx.fetch_one(queries.READ_KEY, cell=cell_of(customer), customer=customer, operation=operation, key=key)
    if row is None:
        return None
    if bytes(row["fingerprint"]) != fingerprint:
        raise KeyReused(
            f"the key {key!r} was used before with another request", fix="send a new key, or exactly the first request"
        )
    answer: str = row["answer"]
    return answer


async def keep_answer(tx: Tx, book: Book, operation: str, key: str, fingerprint: bytes, answer: str) -> None:
    """Remember the answer of this key for its retries."""
    await tx.execute(
        queries.INSERT_KEY, cell=book.cell, customer=book.customer, operation=operation, key=key,
        fingerprint=fingerprint, seq=book.state.seq, answer=answer, at=book.now,
    )  # fmt: skip


async def lot_facts(tx: Tx, customer: str, lots: Iterable[str]) -> dict[str, LotFacts]:
    """What never changes about these lots, by id."""
    facts: dict[str, LotFacts] = {}
    for lot in lots:
        row = await tx.fetch_one(queries.READ_LOT, cell=cell_of(customer), customer=customer, id=lot)
        if row is not None:
            facts[lot] = LotFacts(
                row["id"],
                row["meter"],
                row["amount"],
                row["source"],
                row["expires_at"],
                row["since"],
                row["until"],
                row["ended_at"],
            )
    return facts
