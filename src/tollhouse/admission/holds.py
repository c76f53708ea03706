"""Holds: debited now, settled later; what nobody settles comes back or stays charged, as its maker said."""

from collections.abc import Mapping

import msgspec

from tollhouse.admission import queries
from tollhouse.admission.lapsing import lapse_due
from tollhouse.admission.returns import return_amounts, what_is_left
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.kernel.ids import entry_address
from tollhouse.kernel.units import unscale
from tollhouse.ledger.actions import read_entry
from tollhouse.ledger.book import Book, encode, open_book, plan_of
from tollhouse.ledger.granting import metadata_json
from tollhouse.ledger.model import Entry
from tollhouse.ledger.returning import returned_by_meter
from tollhouse.ledger.rules import take_up_to
from tollhouse.ledger.turning import record
from tollhouse.ledger.views import Amount, MeterView, meter_view
from tollhouse.store import Row, Tx

SHORTEST_TTL_MS, LONGEST_TTL_MS = 1_000, 30 * 86_400_000

Amounts = dict[str, Amount]


class HoldAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a hold. `charged` is what it cost in the end."""

    id: str
    status: str
    charged: Amounts = {}
    returned: Amounts = {}
    shortfall: Amounts | msgspec.UnsetType = msgspec.UNSET
    meters: dict[str, MeterView] = {}
    expires_at: str | None = None
    replayed: bool | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(HoldAnswer).decode


class OpenHold(msgspec.Struct, frozen=True):
    """A hold found and its account locked, whatever its status."""

    id: str
    book: Book
    row: Row
    entry: Entry

    @property
    def seq(self) -> int:
        return self.entry.seq


async def find_hold(tx: Tx, catalog: Catalog, hold_id: str, now: int) -> OpenHold:
    """Lock the account of this hold, lapse what is due, read it. Raises NotFound."""
    address = entry_address(hold_id, "hld")
    if address is None:
        raise _no_such_hold(hold_id)
    customer, seq = address
    try:
        book = await open_book(tx, catalog, customer, now)
    except NotFound:
        raise _no_such_hold(hold_id) from None
    await lapse_due(tx, catalog, book)
    row = await tx.fetch_one(queries.READ_HOLD, cell=book.cell, customer=customer, seq=seq)
    if row is None:
        raise _no_such_hold(hold_id)
    return OpenHold(hold_id, book, row, await read_entry(tx, customer, seq))


def _no_such_hold(hold_id: str) -> NotFound:
    return NotFound(f"there is no hold {hold_id}", code="hold_not_found", fix="use the id that POST /v1/holds answered")


def _ended(hold: OpenHold, how: str) -> Conflict:
    return Conflict(f"the hold has ended: it was {how}", code="hold_ended", fix="make a new hold", how=how)


async def settle(tx: Tx, catalog: Catalog, hold_id: str, amounts: Mapping[str, int], now: int) -> HoldAnswer:
    """The final cost: less comes back, more is debited down to zero, the rest is the shortfall. Idempotent.

    Meters that `amounts` leaves out are settled at what was held. After expiry with `return` all is a new debit; with
    `charge` only the difference is, and what was refunded since counts as settled: Conflict `hold_ended`. Standing is
    not asked again. Raises Conflict for another amount on a settled hold.
    """
    hold = await find_hold(tx, catalog, hold_id, now)
    book, status = hold.book, hold.row["status"]
    held = _held(hold.entry, catalog)
    final = {**held, **_checked(amounts, held, hold.entry, catalog)}
    wanted = encode(dict(sorted(final.items()))).decode()
    if status == "settled":
        if hold.row["settled_amount"] != wanted:
            raise Conflict(
                "the hold was settled with another amount", code="hold_ended", how="settled",
                fix="a settlement is final; refund a part of it with POST /v1/admissions/{id}/refund",
            )  # fmt: skip
        await book.save(tx)  # what lapsed meanwhile
        return msgspec.structs.replace(_decode(hold.row["answer"]), replayed=True)
    if status == "released":
        raise _ended(hold, "released")
    left = await what_is_left(tx, book, hold.entry)
    if left.refunded:
        raise Conflict(
            "the hold has expired, was charged and refunded since", code="hold_ended", how="expired",
            fix="a refund settles an expired hold; admit what is still to be debited",
        )  # fmt: skip
    still_charged = returned_by_meter(left.places, catalog.meters)
    back = {
        name: still_charged.get(name, 0) - final[name] for name in final if still_charged.get(name, 0) > final[name]
    }
    back.update(_slots_left(left.places, catalog))
    given = await return_amounts(tx, catalog, book, left, back)
    more = {
        name: final[name] - still_charged.get(name, 0) for name in final if final[name] > still_charged.get(name, 0)
    }
    plan = plan_of(catalog, book.state)
    state, debits, shortfall = take_up_to(book.state, plan, catalog.meters, more, book.now)
    note = metadata_json({"returned": given.returned, "amount": final, "shortfall": shortfall})
    state, entry = record(state, "settlement", hold.entry.action, book.now, (*given.moves, *debits), hold.seq, note)
    book.add(state, [entry])
    answer = HoldAnswer(
        hold_id, "settled",
        _unscaled({name: amount - shortfall.get(name, 0) for name, amount in final.items()}, catalog),
        _unscaled({name: amount for name, amount in back.items() if name in held}, catalog),
        _unscaled(shortfall, catalog),
        {name: meter_view(state, plan, catalog.meters[name], book.now) for name in final},
        None, False,
    )  # fmt: skip
    await book.save(tx)
    await _end(tx, hold, "settled", wanted, encode(answer).decode())
    return answer


async def release(tx: Tx, catalog: Catalog, hold_id: str, now: int) -> HoldAnswer:
    """All comes back. Idempotent; a hold that was settled or has expired answers Conflict `hold_ended` with how."""
    hold = await find_hold(tx, catalog, hold_id, now)
    book, status = hold.book, hold.row["status"]
    if status == "released":
        await book.save(tx)  # what lapsed meanwhile
        return msgspec.structs.replace(_decode(hold.row["answer"]), replayed=True)
    if status != "open":
        raise _ended(hold, status)
    left = await what_is_left(tx, book, hold.entry)
    back = {**returned_by_meter(left.places, catalog.meters), **_slots_left(left.places, catalog)}
    given = await return_amounts(tx, catalog, book, left, back)
    note = metadata_json({"returned": given.returned})
    state, entry = record(book.state, "release", hold.entry.action, book.now, given.moves, hold.seq, note)
    book.add(state, [entry])
    plan = plan_of(catalog, state)
    answer = HoldAnswer(
        hold_id, "released", {}, _unscaled(back, catalog), msgspec.UNSET,
        {name: meter_view(state, plan, catalog.meters[name], book.now) for name in back}, None, False,
    )  # fmt: skip
    await book.save(tx)
    await _end(tx, hold, "released", None, encode(answer).decode())
    return answer


async def extend(tx: Tx, catalog: Catalog, hold_id: str, ttl_ms: int, now: int) -> HoldAnswer:
    """The hold lasts `ttl_ms` from now. Raises Conflict `hold_ended` with how."""
    hold = await find_hold(tx, catalog, hold_id, now)
    if hold.row["status"] != "open":
        raise _ended(hold, hold.row["status"])
    expires_at = hold.book.now + check_ttl(ttl_ms)
    await hold.book.save(tx)
    await tx.execute(
        queries.EXTEND_HOLD, cell=hold.book.cell, customer=hold.book.customer, seq=hold.seq, expires_at=expires_at
    )
    return HoldAnswer(hold_id, "open", expires_at=rfc3339(expires_at))


def check_ttl(ttl_ms: int) -> int:
    """A hold lasts from a second to thirty days. Raises InvalidRequest."""
    if not SHORTEST_TTL_MS <= ttl_ms <= LONGEST_TTL_MS:
        raise InvalidRequest("a hold lasts from 1s to 30d", code="invalid_ttl", fix='send a ttl such as "60s"')
    return ttl_ms


def _held(entry: Entry, catalog: Catalog) -> dict[str, int]:
    """What the hold debited on meters that can be settled, by meter."""
    held: dict[str, int] = {}
    for meter, _place, amount in entry.moves:
        if catalog.meters[meter].kind in ("credits", "quota", "count"):
            held[meter] = held.get(meter, 0) - amount
    return held


def _checked(amounts: Mapping[str, int], held: Mapping[str, int], entry: Entry, catalog: Catalog) -> dict[str, int]:
    for name, amount in amounts.items():
        if name not in held:
            raise InvalidRequest(
                f"the hold on {entry.action!r} does not hold {name!r}", code="unknown_meter",
                fix="settle the meters that were held: " + ", ".join(held),
            )  # fmt: skip
        if amount < 0 or (catalog.meters[name].kind == "count" and amount > held[name]):
            raise InvalidRequest(f"the amount of {name!r} is out of range", fix="send 0 or more")
    return dict(amounts)


def _slots_left(places: Mapping[tuple[str, str], int], catalog: Catalog) -> dict[str, int]:
    return {meter: amount for (meter, _), amount in places.items() if catalog.meters[meter].kind == "lease" and amount}


def _unscaled(amounts: Mapping[str, int], catalog: Catalog) -> Amounts:
    return {name: unscale(amount, catalog.meters[name].decimals) for name, amount in amounts.items()}


async def _end(tx: Tx, hold: OpenHold, status: str, amount: str | None, answer: str) -> None:
    await tx.execute(
        queries.END_HOLD, cell=hold.book.cell, customer=hold.book.customer, seq=hold.seq,
        status=status, settled_amount=amount, answer=answer,
    )  # fmt: skip
