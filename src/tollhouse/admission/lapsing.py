"""Leases and holds that nobody kept: they come back by themselves, dated at the moment they lapsed, once."""

import msgspec
import structlog

from tollhouse.admission import queries
from tollhouse.admission.returns import return_amounts, what_is_left
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import TollhouseError
from tollhouse.kernel.units import unscale
from tollhouse.ledger.actions import read_entry
from tollhouse.ledger.book import Book, open_book, read_state
from tollhouse.ledger.granting import metadata_json
from tollhouse.ledger.model import Move, State
from tollhouse.ledger.returning import returned_by_meter
from tollhouse.ledger.turning import record
from tollhouse.ledger.views import Amount
from tollhouse.store import Row, Store, Tx

CUSTOMERS_AT_ONCE = 100

log = structlog.get_logger(__name__)

_slots = msgspec.json.Decoder(dict[str, int]).decode


async def lapse_due(tx: Tx, catalog: Catalog, book: Book) -> None:
    """Give back every lapsed lease and hold of a locked account. The caller saves the book."""
    for row in await tx.fetch(queries.LEASES_DUE_OF, cell=book.cell, customer=book.customer, now=book.now):
        await end_lease(tx, book, row, "lease_lapse", row["expires_at"], row["last_beat"])
    for row in await tx.fetch(queries.HOLDS_DUE_OF, cell=book.cell, customer=book.customer, now=book.now):
        lost = await _expire_hold(tx, catalog, book, row)
        if lost:
            log.warning("hold.lost", customer=book.customer, seq=row["seq"], lost=lost)
        await tx.execute(
            queries.END_HOLD, cell=book.cell, customer=book.customer, seq=row["seq"],
            status="expired", settled_amount=None, answer=None,
        )  # fmt: skip


async def lapse(tx: Tx, catalog: Catalog, customer: str, now: int) -> None:
    """Give back what of this customer has lapsed, before another change of the transaction. Raises NotFound."""
    book = await open_book(tx, catalog, customer, now)
    await lapse_due(tx, catalog, book)
    await book.save(tx)


async def read_current(tx: Tx, catalog: Catalog, customer: str, now: int) -> State:
    """A customer's state at `now`, what has lapsed taken off, without writing or locking. Raises NotFound."""
    state = await read_state(tx, catalog, customer, now)
    book = Book(customer, None, state, max(now, state.decided_at))
    for row in await tx.fetch(queries.READ_LEASES_DUE_OF, cell=book.cell, customer=customer, now=book.now):
        await _take_off_lease(tx, book, row, "lease_lapse", row["expires_at"], row["last_beat"])
    for row in await tx.fetch(queries.HOLDS_DUE_OF, cell=book.cell, customer=customer, now=book.now):
        await _expire_hold(tx, catalog, book, row)
    return book.state


async def end_lease(tx: Tx, book: Book, row: Row, kind: str, at: int, used_until: int) -> int:
    """Give the slot back and count the session's time to `used_until`; milliseconds of the session."""
    duration = await _take_off_lease(tx, book, row, kind, at, used_until)
    await tx.execute(queries.END_LEASE, cell=book.cell, customer=book.customer, seq=row["seq"], ended_at=at)
    return duration


async def _take_off_lease(tx: Tx, book: Book, row: Row, kind: str, at: int, used_until: int) -> int:
    """The lease's end in the book alone."""
    slots = _slots(row["slots"])
    duration: int = max(0, used_until - row["started_at"])
    state = book.state
    held = {**state.held}
    moves: list[Move] = []
    for meter, count in slots.items():
        held[meter] = held.get(meter, 0) - count
        moves.append((meter, "", count))
    admission = await read_entry(tx, book.customer, row["seq"])
    state = _with_session_time(msgspec.structs.replace(state, held=held), admission.moves, duration)
    note = metadata_json({"session_ms": duration})
    state, entry = record(state, kind, row["action"], at, tuple(moves), row["seq"], note)
    book.add(state, [entry])
    return duration


def _with_session_time(state: State, taken: tuple[Move, ...], duration: int) -> State:
    """The session's time belongs to the quota period in which it was admitted, if that is still open (S2)."""
    quotas = dict(state.quotas)
    for meter, place, _amount in taken:
        quota = quotas.get(meter)
        if quota is not None and str(quota.start) == place:
            quotas[meter] = msgspec.structs.replace(quota, session_ms=quota.session_ms + duration)
    return msgspec.structs.replace(state, quotas=quotas)


async def _expire_hold(tx: Tx, catalog: Catalog, book: Book, row: Row) -> dict[str, Amount]:
    """A hold that nobody settled, in the book alone: all comes back, or stays charged, as its maker said; slots do always.

    It ends whatever happens: what finds no room any more counts as given back, and is answered (and noted) as lost.
    """
    left = await what_is_left(tx, book, await read_entry(tx, book.customer, row["seq"]))
    amounts = returned_by_meter(left.places, catalog.meters) if row["on_expiry"] == "return" else {}
    for (meter, _place), amount in left.places.items():
        if amount and meter in catalog.meters and catalog.meters[meter].kind == "lease":
            amounts[meter] = amounts.get(meter, 0) + amount
    back = await return_amounts(tx, catalog, book, left, amounts, lose_without_room=True)
    lost = {name: unscale(amount, catalog.meters[name].decimals) for name, amount in back.lost.items()}
    note: dict[str, object] = {"returned": back.returned, "on_expiry": row["on_expiry"]}
    noted = metadata_json(note | {"lost": lost} if lost else note)
    state, entry = record(
        book.state, "hold_expiry", left.entry.action, row["expires_at"], back.moves, row["seq"], noted
    )
    book.add(state, [entry])
    return lost


async def sweep(store: Store, catalog: Catalog) -> list[str]:
    """Lapse what is due for up to a hundred customers, each in its own transaction; the ids of those that changed."""
    now = store.clock.now_ms()
    async with store.reading() as tx:
        due = {row["customer"] for row in await tx.fetch(queries.LEASES_DUE, now=now, most=CUSTOMERS_AT_ONCE)}
        due |= {row["customer"] for row in await tx.fetch(queries.HOLDS_DUE, now=now, most=CUSTOMERS_AT_ONCE)}
    changed: list[str] = []
    for customer in sorted(due):
        try:
            async with store.transaction() as tx:
                book = await open_book(tx, catalog, customer, store.clock.now_ms())
                await lapse_due(tx, catalog, book)
                await book.save(tx)
        except TollhouseError as error:  # one customer that cannot be swept must not stop the others
            log.error("sweep.failed", customer=customer, error=str(error))
            continue
        if book.entries:
            changed.append(customer)
    return changed
