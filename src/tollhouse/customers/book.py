"""A customer and its book as clients see them."""

from collections.abc import Awaitable, Callable

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.customers.actions import read_customer
from tollhouse.customers.model import CustomerView, EntryPage, EntryView
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import InvalidRequest, NotFound
from tollhouse.kernel.ids import entry_address, entry_id
from tollhouse.kernel.units import unscale
from tollhouse.ledger.actions import read_book, read_entry
from tollhouse.ledger.book import plan_of, read_state
from tollhouse.ledger.model import Entry, State
from tollhouse.ledger.views import Amount, all_meters
from tollhouse.store import Tx

StateReader = Callable[[Tx, Catalog, str, int], Awaitable[State]]
"""Reads an account at a time; `admission` knows one that leaves out what has lapsed."""

MOST_ENTRIES = 100
OWN_NOTES = frozenset({"returned"})
"""What the books keep in an entry's metadata for themselves: scaled, and by lot."""
PREFIXES = {"admission": "adm", "hold": "hld"}
_decode_metadata = msgspec.json.Decoder(dict[str, object]).decode


async def view_customer(
    tx: Tx, catalog: Catalog, customer: str, now: int, read: StateReader = read_state
) -> CustomerView:
    """Plan, standing and every meter at `now`, as `read` finds the account. Raises NotFound."""
    who = await read_customer(tx, customer)
    state = await read(tx, catalog, customer, now)
    plan = plan_of(catalog, state)
    return CustomerView(
        who.id, who.external_id, who.email, who.name, who.city, who.locale, who.verified_at is not None,
        state.plan, state.standing, rfc3339(who.created_at), all_meters(state, plan, catalog, now),
        rfc3339(state.past_due_at) if state.past_due_at is not None else None,
    )  # fmt: skip


async def view_entries(
    tx: Tx, catalog: Catalog, customer: str, *, after: str | None = None, limit: int = MOST_ENTRIES
) -> EntryPage:
    """A page of the book, newest first; `after` is the id of the last entry seen. Raises InvalidRequest, NotFound."""
    await read_customer(tx, customer)
    if not 1 <= limit <= MOST_ENTRIES:
        raise InvalidRequest("limit is out of range", fix=f"send a limit from 1 to {MOST_ENTRIES}")
    before = None if after is None else _position(customer, after)
    rows = await read_book(tx, customer, before, limit + 1)
    page = rows[:limit]
    kinds = await _kinds_of_targets(tx, customer, rows)
    views = [_view(catalog, customer, entry, kinds) for entry in page]
    return EntryPage(views, views[-1].id if len(rows) > limit else None)


def _position(customer: str, identifier: str) -> int:
    address = entry_address(identifier, identifier.partition("_")[0])
    if address is None or address[0] != customer or address[1] == 0:
        raise InvalidRequest(
            "after is not an entry of this customer", code="invalid_cursor", fix="send the `next` of the page before"
        )
    return address[1]


async def _kinds_of_targets(tx: Tx, customer: str, entries: list[Entry]) -> dict[int, str]:
    """Kind by position, of the entries that these refer to."""
    kinds: dict[int, str] = {entry.seq: entry.kind for entry in entries}
    for target in {entry.target for entry in entries if entry.target is not None} - kinds.keys():
        try:
            kinds[target] = (await read_entry(tx, customer, target)).kind
        except NotFound:
            continue
    return kinds


def _view(catalog: Catalog, customer: str, entry: Entry, kinds: dict[int, str]) -> EntryView:
    sums: dict[str, int] = {}
    for meter, _place, amount in entry.moves:
        sums[meter] = sums.get(meter, 0) + amount
    deltas = {meter: _unscaled(catalog, meter, amount) for meter, amount in sums.items()}
    credits = [name for name, meter in catalog.meters.items() if meter.kind == "credits"]
    remaining = {credits[0]: _unscaled(catalog, credits[0], entry.remaining)} if len(credits) == 1 else {}
    about = None if entry.target is None else _id(customer, kinds.get(entry.target, ""), entry.target)
    return EntryView(
        _id(customer, entry.kind, entry.seq), entry.kind, entry.action, rfc3339(entry.at), deltas, remaining,
        _metadata(entry), about,
    )  # fmt: skip


def _metadata(entry: Entry) -> dict[str, object]:
    kept = _decode_metadata(entry.metadata) if entry.metadata else {}
    return {name: value for name, value in kept.items() if name not in OWN_NOTES}


def _id(customer: str, kind: str, seq: int) -> str:
    return entry_id(PREFIXES.get(kind, "ent"), customer, seq)


def _unscaled(catalog: Catalog, name: str, amount: int) -> Amount:
    meter = catalog.meters.get(name)
    return unscale(amount, meter.decimals if meter else 0)
