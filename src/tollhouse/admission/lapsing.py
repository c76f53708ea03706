"""Leases and holds that nobody kept: they come back by themselves, dated at the moment they lapsed, once."""

import msgspec
import structlog

from tollhouse.admission import queries
from tollhouse.admission.returns import GivenBack, return_amounts, what_is_left
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import Conflict, TollhouseError
from tollhouse.ledger.actions import read_entry
from tollhouse.ledger.book import Book, open_book
from tollhouse.ledger.granting import metadata_json
from tollhouse.ledger.model import Move, State
from tollhouse.ledger.returning import returned_by_meter
from tollhouse.ledger.turning import record
from tollhouse.store import Row, Store, Tx

CUSTOMERS_AT_ONCE = 100

log = structlog.get_logger(__name__)

_slots = msgspec.json.Decoder(dict[str, int]).decode


async def lapse_due(tx: Tx, catalog: Catalog, book: Book) -> None:
    """Give back every lapsed lease and hold of a locked account. The caller saves the book."""
    for row in await tx.fetch(queries.LEASES_DUE_OF, cell=book.cell, customer=book.customer, now=book.now):
        await end_lease(tx, book, row, "lease_lapse", row["expires_at"], row["last_beat"])
    for row in await tx.fetch(queries.HOLDS_DUE_OF, cell=book.cell, customer=book.customer, now=book.now):
        try:
            await expire_hold(tx, catalog, book, row["seq"], row["on_expiry"], row["expires_at"])
        except Conflict as error:  # the spent lot finds no room: the hold stays, and everything else goes on
            log.warning("hold.not_expired", customer=book.customer, seq=row["seq"], error=str(error))


async def end_lease(tx: Tx, book: Book, row: Row, kind: str, at: int, used_until: int) -> int:
    """Give the slot back and count the session's time to `used_until`; milliseconds of the session."""
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
    await tx.execute(queries.END_LEASE, cell=book.cell, customer=book.customer, seq=row["seq"], ended_at=at)
    return duration


def _with_session_time(state: State, taken: tuple[Move, ...], duration: int) -> State:
    """The session's time belongs to the quota period in which it was admitted, if that is still open (S2)."""
    quotas = dict(state.quotas)
    for meter, place, _amount in taken:
        quota = quotas.get(meter)
        if quota is not None and str(quota.start) == place:
            quotas[meter] = msgspec.structs.replace(quota, session_ms=quota.session_ms + duration)
    return msgspec.structs.replace(state, quotas=quotas)


async def expire_hold(tx: Tx, catalog: Catalog, book: Book, seq: int, on_expiry: str, at: int) -> None:
    """A hold that nobody settled: all comes back, or stays charged, as its maker said; slots come back either way."""
    left = await what_is_left(tx, book, await read_entry(tx, book.customer, seq))
    kinds = {name: meter.kind for name, meter in catalog.meters.items()}
    amounts = returned_by_meter(left.places, catalog.meters) if on_expiry == "return" else {}
    for (meter, _place), amount in left.places.items():
        if kinds.get(meter) == "lease" and amount:
            amounts[meter] = amounts.get(meter, 0) + amount
    back: GivenBack = await return_amounts(tx, catalog, book, left, amounts)
    note = metadata_json({"returned": back.returned, "on_expiry": on_expiry})
    state, entry = record(book.state, "hold_expiry", left.entry.action, at, back.moves, seq, note)
    book.add(state, [entry])
    await tx.execute(
        queries.END_HOLD,
        cell=book.cell,
        customer=book.customer,
        seq=seq,
        status="expired",
        settled_amount=None,
        answer=None,
    )


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
