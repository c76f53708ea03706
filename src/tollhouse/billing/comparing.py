"""What a look at Stripe would change in our books of one customer: before against after, field by field."""

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.applying import apply
from tollhouse.billing.kept import EVERY
from tollhouse.billing.model import Link, Snapshot
from tollhouse.billing.packs import has_arrived
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.money import Money, written
from tollhouse.kernel.units import unscale
from tollhouse.ledger.book import open_book
from tollhouse.store import Row, Store, Tx, Value, cell_of


class Difference(msgspec.Struct, frozen=True):
    """One thing that Stripe says otherwise than our books did."""

    field: str
    ours: str | None
    stripes: str | None


class _Undo(Exception):
    """Ends a transaction that only looked, and takes what was found out of it."""

    def __init__(self, differences: tuple[Difference, ...]) -> None:
        self.differences = differences


async def apply_and_compare(
    tx: Tx, catalog: Catalog, link: Link, snapshot: Snapshot, now: int
) -> tuple[Difference, ...]:
    """Apply the look; what that has changed. Raises FenceLost."""
    before = await _facts(tx, catalog, link.customer, snapshot, now)
    await apply(tx, catalog, link, snapshot, now)
    after = await _facts(tx, catalog, link.customer, snapshot, now)
    return tuple(
        Difference(field, before.get(field), after.get(field))
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    )


async def what_differs(
    store: Store, catalog: Catalog, link: Link, snapshot: Snapshot, now: int
) -> tuple[Difference, ...]:
    """What applying the look would change. It is applied and taken back, so nothing is changed. Raises FenceLost."""
    try:
        async with store.transaction() as tx:
            raise _Undo(await apply_and_compare(tx, catalog, link, snapshot, now))
    except _Undo as undone:
        return undone.differences


async def _facts(tx: Tx, catalog: Catalog, customer: str, snapshot: Snapshot, now: int) -> dict[str, str]:
    """What our books say of all that Stripe decides, by field; of the packs that it says are paid."""
    state = (await open_book(tx, catalog, customer, now)).state
    at: dict[str, Value] = {"cell": cell_of(customer), "customer": customer}
    facts = {
        "plan": f"{state.plan} (version {state.plan_version})",
        "standing": state.standing,
        "ends": _moment(state.ends_at),
        "past due from": _moment(state.past_due_at),
    }
    for row in await tx.fetch(queries.SUBSCRIPTIONS, **at):
        name = row["id"]
        facts |= {
            f"{name} status": row["status"],
            f"{name} price": f"{row['price']}, {_money(row, 'amount_minor')} a {row['every']}",
            f"{name} period": f"{_moment(row['period_start'])} to {_moment(row['period_end'])}",
            f"{name} ends": _moment(row["cancel_at"]),
            f"{name} changes": _later(row),
        }
    for row in await tx.fetch(queries.INVOICES, **at, most=EVERY):
        name = row["id"]
        facts |= {
            f"{name} status": row["status"],
            f"{name} paid": f"{_money(row, 'amount_paid_minor')} of {_money(row, 'amount_due_minor')}",
            f"{name} tax": _money(row, "tax_minor"),
            f"{name} given back": _money(row, "refunded_minor"),
        }
    for row in await tx.fetch(queries.GRANTED, **at):
        month = f"month {row['month']} of the period to {_moment(row['period_end'])}"
        facts[f"{row['subscription']} credits of {row['plan']}, {month}"] = "granted"
    for purchase in snapshot.purchases:
        granted = await has_arrived(tx, customer, purchase.session)
        facts[f"{purchase.session} pack {purchase.pack}"] = "granted" if granted else "not granted"
    for meter, lots in state.lots.items():
        facts[f"{meter} left"] = str(unscale(sum(lot.remaining for lot in lots), catalog.meters[meter].decimals))
    return facts


def _money(row: Row, name: str) -> str:
    return written(Money(row[name] or 0, row["currency"]))


def _later(row: Row) -> str:
    if row["later_plan"] is None:
        return "never"
    amount, at = _money(row, "later_amount_minor"), _moment(row["later_at"])
    return f"{row['later_plan']}, {amount} a {row['later_every']}, {at}"


def _moment(at: int | None) -> str:
    return "never" if at is None else rfc3339(at)
