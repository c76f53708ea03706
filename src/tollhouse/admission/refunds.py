"""Refunds: an admission gives back all or part, in sum never more than it took, to the lot and period it came from."""

from collections.abc import Mapping

import msgspec

from tollhouse.admission import queries
from tollhouse.admission.lapsing import lapse_due
from tollhouse.admission.returns import return_amounts, what_is_left
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.kernel.ids import entry_address, entry_id
from tollhouse.kernel.units import unscale
from tollhouse.ledger.actions import read_entry
from tollhouse.ledger.book import encode, first_answer, keep_answer, open_book, plan_of
from tollhouse.ledger.granting import metadata_json
from tollhouse.ledger.returning import returned_by_meter
from tollhouse.ledger.turning import record
from tollhouse.ledger.views import Amount, MeterView, meter_view
from tollhouse.store import Tx


class RefundAnswer(msgspec.Struct, frozen=True):
    """What came back. What belonged to an expired lot or a past period counts as returned, and adds nothing (`lost`)."""

    id: str
    admission: str
    replayed: bool
    returned: dict[str, Amount]
    lost: dict[str, Amount]
    meters: dict[str, MeterView]


_decode = msgspec.json.Decoder(RefundAnswer).decode


async def refund(
    tx: Tx, catalog: Catalog, admission: str, amounts: Mapping[str, int] | None, now: int, *,
    key: str, fingerprint: bytes, reason: str,
) -> RefundAnswer:  # fmt: skip
    """Give back `amounts` (scaled; None for all that is left). Raises NotFound, KeyReused, Conflict `refund_exceeds`."""
    address = entry_address(admission, "adm") or entry_address(admission, "hld")
    if address is None:
        raise _no_such(admission)
    customer, seq = address
    try:
        book = await open_book(tx, catalog, customer, now)
        entry = await read_entry(tx, customer, seq)
    except NotFound:
        raise _no_such(admission) from None
    if entry.kind != ("hold" if admission.startswith("hld_") else "admission"):
        raise _no_such(admission)
    first = await first_answer(tx, customer, "refund", key, fingerprint)
    if first is not None:
        return msgspec.structs.replace(_decode(first), replayed=True)
    await lapse_due(tx, catalog, book)
    if entry.kind == "hold":
        row = await tx.fetch_one(queries.READ_HOLD, cell=book.cell, customer=customer, seq=seq)
        if row is not None and row["status"] == "open":
            raise Conflict(
                "the hold is still open", code="hold_open", fix="settle or release it; refund what was settled"
            )
    left = await what_is_left(tx, book, entry)
    possible = returned_by_meter(left.places, catalog.meters)
    wanted = _wanted(amounts, possible, catalog)
    given = await return_amounts(tx, catalog, book, left, wanted)
    note = metadata_json({"returned": given.returned, "reason": reason})
    state, refunded = record(book.state, "return", entry.action, book.now, given.moves, seq, note)
    book.add(state, [refunded])
    plan = plan_of(catalog, state)
    arrived: dict[str, int] = {}
    for meter, _place, amount in given.moves:
        arrived[meter] = arrived.get(meter, 0) + amount
    lost = {name: amount - arrived.get(name, 0) for name, amount in wanted.items() if amount > arrived.get(name, 0)}
    answer = RefundAnswer(
        entry_id("ent", customer, refunded.seq), admission, False, _unscaled(wanted, catalog), _unscaled(lost, catalog),
        {name: meter_view(state, plan, catalog.meters[name], book.now) for name in wanted},
    )  # fmt: skip
    await book.save(tx)
    await keep_answer(tx, book, "refund", key, fingerprint, encode(answer).decode())
    return answer


def _wanted(amounts: Mapping[str, int] | None, possible: Mapping[str, int], catalog: Catalog) -> dict[str, int]:
    if amounts is None:
        if not possible:
            raise Conflict(
                "nothing is left to give back", code="refund_exceeds", fix="the admission was refunded before"
            )
        return dict(possible)
    for name, amount in amounts.items():
        meter = catalog.meters.get(name)
        if meter is None or amount <= 0:
            raise InvalidRequest(
                f"{name!r} is not a meter, or its amount is not above 0",
                code="invalid_amount",
                fix="send a positive amount of a meter that was debited",
            )
        if amount > possible.get(name, 0):
            left = unscale(possible.get(name, 0), meter.decimals)
            raise Conflict(
                f"at most {left} of {name!r} is left to give back", code="refund_exceeds", meter=name, remaining=left,
                fix="send no more than what is left, or leave amount out",
            )  # fmt: skip
    return {name: amount for name, amount in amounts.items() if amount}


def _no_such(admission: str) -> NotFound:
    return NotFound(
        f"there is no admission {admission}", code="admission_not_found", fix="use the id that admit answered"
    )


def _unscaled(amounts: Mapping[str, int], catalog: Catalog) -> dict[str, Amount]:
    return {name: unscale(amount, catalog.meters[name].decimals) for name, amount in amounts.items()}


async def returnable_meters(tx: Tx, catalog: Catalog, admission: str) -> list[str]:
    """The meters that this admission debited and could give back. Raises NotFound."""
    address = entry_address(admission, "adm") or entry_address(admission, "hld")
    if address is None:
        raise _no_such(admission)
    try:
        entry = await read_entry(tx, *address)
    except NotFound:
        raise _no_such(admission) from None
    places = {(meter, place): -amount for meter, place, amount in entry.moves}
    return list(returned_by_meter(places, catalog.meters))
