"""Leases: a slot kept by a heartbeat, which touches one row; it comes back when it is ended, or by itself."""

import msgspec

from tollhouse.admission import queries
from tollhouse.admission.deciding import heartbeat_seconds
from tollhouse.admission.lapsing import end_lease, lapse_due
from tollhouse.admission.model import LeaseView
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import NotFound, TollhouseError
from tollhouse.kernel.ids import entry_address
from tollhouse.ledger.book import Book, open_book, plan_of
from tollhouse.ledger.granting import metadata_json
from tollhouse.ledger.model import Shortage
from tollhouse.ledger.rules import standing_shortage, take
from tollhouse.ledger.turning import record
from tollhouse.ledger.views import MeterView, meter_view
from tollhouse.store import Row, Tx, cell_of

_slots = msgspec.json.Decoder(dict[str, int]).decode


class LeaseLost(TollhouseError):
    """The slot has come back by itself and no other is free, or the session was ended."""

    default_code = "lease_lost"


class HeartbeatAnswer(msgspec.Struct, frozen=True):
    """The slot is kept. `retaken` when it had been lost and a free one was taken again."""

    id: str
    lease: LeaseView
    retaken: bool = False


class EndAnswer(msgspec.Struct, frozen=True):
    """The slot is free. `seconds` is how long the session lasted; it tells cost and is never billed."""

    id: str
    ended_at: str
    seconds: int
    meters: dict[str, MeterView]


def _address(admission: str) -> tuple[str, int]:
    address = entry_address(admission, "adm")
    if address is None:
        raise _no_such(admission)
    return address


def _no_such(admission: str) -> NotFound:
    return NotFound(
        f"the admission {admission} holds no slot",
        code="lease_not_found",
        fix="use the id of an admission that answered `lease`",
    )


def _lease_view(expires_at: int, ttl_ms: int) -> LeaseView:
    return LeaseView(rfc3339(expires_at), heartbeat_seconds(ttl_ms))


async def heartbeat(tx: Tx, catalog: Catalog, admission: str, now: int) -> HeartbeatAnswer:
    """Keep the slot; take a free one again when it was lost. Raises NotFound, LeaseLost (410)."""
    customer, seq = _address(admission)
    row = await tx.fetch_one(queries.READ_LEASE, cell=cell_of(customer), customer=customer, seq=seq)
    if row is None:
        raise _no_such(admission)
    kept = await tx.execute(
        queries.BEAT, cell=cell_of(customer), customer=customer, seq=seq, now=now, expires_at=now + row["ttl_ms"]
    )
    if kept:
        return HeartbeatAnswer(admission, _lease_view(now + row["ttl_ms"], row["ttl_ms"]))
    book = await open_book(tx, catalog, customer, now)
    await lapse_due(tx, catalog, book)
    row = await tx.fetch_one(queries.READ_LEASE, cell=book.cell, customer=customer, seq=seq)
    if row is None:
        raise _no_such(admission)
    if row["ended_at"] is None:  # another heartbeat came between
        await book.save(tx)
        return HeartbeatAnswer(admission, _lease_view(row["expires_at"], row["ttl_ms"]))
    return await _take_again(tx, catalog, book, row, admission)


async def _take_again(tx: Tx, catalog: Catalog, book: Book, row: Row, admission: str) -> HeartbeatAnswer:
    if row["ended_at"] != row["expires_at"]:
        raise LeaseLost("the session was ended", fix="ask for a new admission")
    plan = plan_of(catalog, book.state)
    taken = standing_shortage(book.state) or take(book.state, plan, catalog.meters, _slots(row["slots"]), book.now)
    if isinstance(taken, Shortage):
        raise LeaseLost(
            "the slot was lost and no other is free", fix="ask for a new admission when a session has ended"
        )
    state = msgspec.structs.replace(taken.state, seq=book.state.seq)
    note = metadata_json({"reason": "heartbeat after the slot was lost"})
    state, entry = record(state, "lease_again", row["action"], book.now, taken.moves, row["seq"], note)
    book.add(state, [entry])
    await book.save(tx)
    expires_at = book.now + row["ttl_ms"]
    await tx.execute(
        queries.REOPEN_LEASE,
        cell=book.cell,
        customer=book.customer,
        seq=row["seq"],
        now=book.now,
        expires_at=expires_at,
    )
    return HeartbeatAnswer(admission, _lease_view(expires_at, row["ttl_ms"]), retaken=True)


async def end(tx: Tx, catalog: Catalog, admission: str, now: int) -> EndAnswer:
    """Give the slot back now. Idempotent; a slot that lapsed before ended at its last heartbeat."""
    customer, seq = _address(admission)
    try:
        book = await open_book(tx, catalog, customer, now)
    except NotFound:
        raise _no_such(admission) from None
    await lapse_due(tx, catalog, book)
    row = await tx.fetch_one(queries.READ_LEASE, cell=book.cell, customer=customer, seq=seq)
    if row is None:
        raise _no_such(admission)
    if row["ended_at"] is None:
        ended_at = book.now
        duration = await end_lease(tx, book, row, "lease_end", ended_at, ended_at)
    else:
        ended_at = row["ended_at"]
        duration = (row["last_beat"] if ended_at == row["expires_at"] else ended_at) - row["started_at"]
    await book.save(tx)
    plan = plan_of(catalog, book.state)
    meters = {name: meter_view(book.state, plan, catalog.meters[name], book.now) for name in _slots(row["slots"])}
    return EndAnswer(admission, rfc3339(ended_at), duration // 1000, meters)
