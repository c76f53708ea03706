"""What other rooms do to an account, one function per use case, inside the caller's transaction."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.errors import InvalidRequest, NotFound, Refused
from tollhouse.kernel.money import Money
from tollhouse.kernel.units import unscale
from tollhouse.ledger import granting, plan_lots, queries
from tollhouse.ledger.book import (
    Book,
    encode,
    entry_from,
    first_answer,
    keep_answer,
    lot_facts,
    open_book,
    plan_of,
)  # fmt: skip
from tollhouse.ledger.lot_values import shares
from tollhouse.ledger.model import Entry, Part, Shortage, Standing
from tollhouse.ledger.plan_lots import Payment
from tollhouse.ledger.rules import NEVER, standing_shortage, take
from tollhouse.ledger.taking_back import Refunded, take_back
from tollhouse.ledger.turning import record
from tollhouse.store import Row, Tx, cell_of


class GrantAnswer(msgspec.Struct, frozen=True):
    """What a grant did. `amount` is scaled."""

    id: str
    lot: str
    meter: str
    amount: int
    expires_at: int | None
    replayed: bool = False


CARRIED_OVER = "rolled over"
"""The reason of a lot that holds what others had left: what was paid for it stands at those."""

LONGEST_LOT_ID = 40
_BOUGHT = b"bought".ljust(16, b"\0")


class _Granted(msgspec.Struct, frozen=True):
    """Which lots a payment brought; releases before refunds were heard of wrote none."""

    lots: list[str] = []


class _Refund(msgspec.Struct, frozen=True):
    """Up to what amount a payment's refunds have been dealt with."""

    refunded_minor: int


_INVOICE = b"invoice".ljust(16, b"\0")
Source = Literal["invoice", "bought"]
"""By what a payment's lots were granted: an invoice's line and month, or a pack's Checkout session."""
_MARKS: dict[Source, bytes] = {"invoice": _INVOICE, "bought": _BOUGHT}
_decode_granted = msgspec.json.Decoder(_Granted).decode
_decode_refund = msgspec.json.Decoder(_Refund).decode
_decode_grant = msgspec.json.Decoder(GrantAnswer).decode


async def open_account(
    tx: Tx, catalog: Catalog, customer: str, now: int, *, verified: bool, plan: PlanVersion | None = None
) -> Book:
    """A new customer's account on the free plan with its sign-up grants. The caller's transaction makes the customer too."""
    chosen = plan or catalog.plans[catalog.free_plan]
    change = granting.open_state(customer, chosen, catalog, now, verified)
    book = Book(customer, None, change.state, now)
    book.apply(change, reason="sign-up")
    await book.save(tx)
    return book


async def grant(
    tx: Tx, catalog: Catalog, customer: str, new: granting.NewLot, now: int, *,
    key: str, fingerprint: bytes, reason: str, paid: Money | None = None,
) -> GrantAnswer:  # fmt: skip
    """Add a lot once per key. Raises KeyReused, NotFound, Conflict (64 live lots), InvalidRequest."""
    meter = catalog.meters.get(new.meter)
    if meter is None or meter.kind != "credits":
        raise InvalidRequest(
            f"{new.meter!r} is not a meter of kind credits", code="unknown_meter",
            fix="name one of: " + ", ".join(m.name for m in catalog.meters.values() if m.kind == "credits"),
        )  # fmt: skip
    book = await open_book(tx, catalog, customer, now)
    earlier = await first_answer(tx, customer, "grant", key, fingerprint)
    if earlier is not None:
        return msgspec.structs.replace(_decode_grant(earlier), replayed=True)
    change = granting.add_lot(book.state, customer, new, book.now, "grant", granting.metadata_json({"reason": reason}))
    book.apply(change, paid, reason)
    lot = change.made[0][0]
    answer = GrantAnswer(lot.id.replace("lot_", "ent_", 1), lot.id, new.meter, lot.amount, lot.expires_at)
    await book.save(tx)
    await keep_answer(tx, book, "grant", key, fingerprint, encode(answer).decode())
    return answer


async def grant_bought(
    tx: Tx, catalog: Catalog, customer: str, new: granting.NewLot, now: int, *,
    session: str, paid: Money, metadata: Mapping[str, object],
) -> bool:  # fmt: skip
    """The lot of a pack, once per Checkout session; False when it was granted before.

    One whose time is over before we hear of it leaves an entry and no lot. Raises Conflict (64 live lots), InvalidRequest.
    """
    meter = catalog.meters.get(new.meter)
    if meter is None or meter.kind != "credits":
        raise InvalidRequest(f"{new.meter!r} is not a meter of kind credits", code="unknown_meter")
    if await first_answer(tx, customer, "bought", session, _BOUGHT) is not None:
        return False
    book = await open_book(tx, catalog, customer, now)
    note = granting.metadata_json({**metadata, "credits_granted": unscale(new.amount, meter.decimals)})
    made: list[str] = []
    if new.expires_at is not None and new.expires_at <= book.now:
        state, entry = record(book.state, "grant", "pack_bought_expired", book.now, (), metadata=note)
        book.add(state, [entry])
    else:
        change = granting.add_lot(book.state, customer, new, book.now, "pack_bought", note)
        book.apply(change, paid, "pack_bought")
        made = [lot.id for lot, _ in change.made]
    await book.save(tx)
    await keep_answer(tx, book, "bought", session, _BOUGHT, encode(_Granted(made)).decode())
    return True


async def was_bought(tx: Tx, customer: str, session: str) -> bool:
    """Whether `grant_bought` has dealt with this session."""
    return await first_answer(tx, customer, "bought", session, _BOUGHT) is not None


async def set_subscription(
    tx: Tx, catalog: Catalog, customer: str, plan: PlanVersion, now: int, *,
    anchor: int | None, ends_at: int | None, standing: Standing, past_due_at: int | None = None,
    metadata: Mapping[str, object] | None = None, book: Book | None = None,
) -> Book:  # fmt: skip
    """Make the account say what the subscription says; applied again it changes nothing. `book`: opened, and not saved."""
    if book is None:
        book = await open_book(tx, catalog, customer, now)
    note = granting.metadata_json(dict(metadata)) if metadata else None
    book.apply(granting.set_plan(book.state, catalog, plan, anchor, ends_at, standing, book.now, note, past_due_at))
    await book.save(tx)
    return book


async def grant_paid_period(
    tx: Tx, catalog: Catalog, customer: str, plan: PlanVersion, payment: Payment, now: int, *,
    invoice_key: str, paid: Money | None,
) -> bool:  # fmt: skip
    """The lots of a paid period, once per `invoice_key` (invoice line and month); False when they were granted before.

    Without grants in the plan (quotas only) an entry still tells that the period was paid.
    """
    book = await open_book(tx, catalog, customer, now)
    if await first_answer(tx, customer, "invoice", invoice_key, _INVOICE) is not None:
        return False
    made: list[str] = []
    credits = sum(
        unscale(plan_lots.amount_due(book.state, grant, payment), catalog.meters[grant.meter].decimals)
        for grant in plan.grants
    )
    told = {**payment.metadata, "plan": plan.plan}
    payment = msgspec.structs.replace(payment, metadata=told | {"credits_granted": credits})
    # A plan that brings credits on several meters is paid once: each of its lots has its part of that.
    parts = shares(paid, len(plan.grants)) if paid is not None and plan.grants else [paid] * len(plan.grants)
    for grant, part in zip(plan.grants, parts, strict=True):
        carried = plan_lots.roll_over(
            book.state, catalog, customer, grant, msgspec.structs.replace(payment, metadata=told), book.now
        )
        if carried is not None:
            book.apply(carried, await _paid_for(tx, customer, carried.made[0][0].parts), CARRIED_OVER)
        change = plan_lots.grant_plan_lot(book.state, catalog, customer, grant, payment, book.now)
        book.apply(change, part, payment.action)
        made += [lot.id for lot, _ in change.made]
    if not plan.grants:
        note = granting.metadata_json(payment.metadata)
        state, entry = record(book.state, "plan", payment.action, book.now, (), metadata=note)
        book.add(state, [entry])
    await book.save(tx)
    await keep_answer(tx, book, "invoice", invoice_key, _INVOICE, encode(_Granted(made)).decode())
    return True


async def _paid_for(tx: Tx, customer: str, parts: tuple[Part, ...]) -> Money | None:
    """Which share of what was paid for these lots lies in these parts of them; None when that is not of one currency."""
    minor, currencies = 0, set()
    for lot, amount in parts:
        row = await tx.fetch_one(queries.PAID_FOR_LOT, cell=cell_of(customer), customer=customer, id=lot)
        if row is not None and row["paid_minor"] is not None:
            minor += row["paid_minor"] * min(amount, row["amount"]) // row["amount"]
            currencies.add(row["currency"])
    return Money(minor, currencies.pop()) if len(currencies) == 1 else None


async def take_back_refunded(
    tx: Tx, catalog: Catalog, customer: str, now: int, *,
    source: Source, key: str, paid_minor: int, refunded_minor: int, metadata: Mapping[str, object], keeps_credits: bool,
) -> None:  # fmt: skip
    """Note what of a payment was given back since last time with its lots, and take back that share of what is left of
    them, unless the customer keeps the credits."""
    book = await open_book(tx, catalog, customer, now)
    beginning = f"{key}:"
    rows = await tx.fetch(
        queries.KEYS_BEGINNING, cell=book.cell, customer=customer, operation=f"{source}_refund", length=len(beginning),
        beginning=beginning,
    )  # fmt: skip
    before = max((_decode_refund(row["answer"]).refunded_minor for row in rows), default=0)
    granted = await first_answer(tx, customer, source, key, _MARKS[source])
    if granted is None or refunded_minor <= before:
        return
    lots = await lot_facts(tx, customer, _decode_granted(granted).lots)
    if lots and not keeps_credits:
        note = granting.metadata_json({**metadata, "refunded_minor": refunded_minor - before, "paid_minor": paid_minor})
        refunded = Refunded(paid_minor, before, refunded_minor)
        book.apply(take_back(book.state, tuple(lots.values()), refunded, book.now, note))
    await book.save(tx)
    for lot in lots:
        row = await tx.fetch_one(queries.PAID_FOR_LOT, cell=book.cell, customer=customer, id=lot)
        if row is not None and row["paid_minor"] is not None:
            back = row["paid_minor"] * min(refunded_minor, paid_minor) // paid_minor
            await tx.execute(queries.LOT_REFUNDED, cell=book.cell, customer=customer, id=lot, refunded_minor=back)
    answer = encode(_Refund(refunded_minor)).decode()
    await keep_answer(tx, book, f"{source}_refund", f"{beginning}{refunded_minor}", _MARKS[source], answer)


async def verify_email(tx: Tx, catalog: Catalog, customer: str, now: int) -> None:
    """What waited for a verified e-mail address can be spent."""
    book = await open_book(tx, catalog, customer, now)
    book.apply(granting.unlock(book.state, book.now))
    await book.save(tx)


async def take_in_transaction(
    tx: Tx, catalog: Catalog, customer: str, cost: Mapping[str, int], action: str, now: int
) -> Entry:
    """Debit beside another change of the caller's transaction (a project and its count). Raises Refused.

    The entry is of the kind `owned`: no admission, so that what was taken stays taken as long as the thing is there.
    """
    book = await open_book(tx, catalog, customer, now)
    plan = plan_of(catalog, book.state)
    taken = standing_shortage(book.state) or take(book.state, plan, catalog.meters, cost, book.now)
    if isinstance(taken, Shortage):
        raise Refused(f"{action} is refused: {taken.code}", code=taken.code, shortage=taken, plan=plan)
    state, entry = record(
        msgspec.structs.replace(taken.state, seq=taken.state.seq - 1), "owned", action, book.now, taken.moves
    )
    book.add(state, [entry])
    await book.save(tx)
    return entry


async def block(tx: Tx, catalog: Catalog, customer: str, standing: Standing, now: int, reason: str) -> None:
    """Staff set a customer's standing. Whoever owes a payment is past due once the grace time is over, not before."""
    book = await open_book(tx, catalog, customer, now)
    state = book.state
    plan = plan_of(catalog, state)
    if standing == "past_due" and state.past_due_at is not None:
        standing = "good"
    note = granting.metadata_json({"reason": reason})
    book.apply(
        granting.set_plan(state, catalog, plan, None, state.ends_at, standing, book.now, note, state.past_due_at)
    )
    await book.save(tx)


async def lots_before(tx: Tx, customer: str, after: str | None, most: int) -> list[Row] | None:
    """The newest lots first, from the one that follows `after`; None where that is no lot of this customer's."""
    at, last = NEVER, ""
    if after is not None:
        known = len(after) <= LONGEST_LOT_ID and after.isprintable()
        place = (
            await tx.fetch_one(queries.LOT_PLACE, cell=cell_of(customer), customer=customer, id=after)
            if known
            else None
        )
        if place is None:
            return None
        at, last = place["granted_at"], after
    return await tx.fetch(queries.LOTS_BEFORE, cell=cell_of(customer), customer=customer, at=at, id=last, most=most)


async def read_book(tx: Tx, customer: str, before: int | None, most: int) -> list[Entry]:
    """The newest entries first; `before` is the position from which the last page ended."""
    rows = await tx.fetch(
        queries.READ_BOOK, cell=cell_of(customer), customer=customer, before=before or 1 << 60, most=most
    )
    return [entry_from(row) for row in rows]


async def read_entry(tx: Tx, customer: str, seq: int) -> Entry:
    """One entry by its position. Raises NotFound."""
    row = await tx.fetch_one(queries.READ_ENTRY, cell=cell_of(customer), customer=customer, seq=seq)
    if row is None:
        raise NotFound("there is no such entry", code="entry_not_found", fix="use the id exactly as it was answered")
    return entry_from(row)
