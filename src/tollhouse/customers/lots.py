"""A customer's lots as staff and the product's servers see them: what each brought, what is left, what it was paid with."""

from tollhouse.catalog.model import Catalog
from tollhouse.customers.actions import read_customer
from tollhouse.customers.book import StateReader
from tollhouse.customers.model import LotMoney, LotPage, LotView
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.money import Money
from tollhouse.kernel.units import unscale
from tollhouse.ledger.actions import CARRIED_OVER, lots_before
from tollhouse.ledger.book import read_state
from tollhouse.ledger.lot_values import left_of, value_of
from tollhouse.ledger.model import Lot
from tollhouse.store import Row, Tx

MOST_LOTS_SHOWN = 100


async def view_lots(
    tx: Tx,
    catalog: Catalog,
    customer: str,
    now: int,
    read: StateReader = read_state,
    *,
    after: str | None = None,
    limit: int = MOST_LOTS_SHOWN,
) -> LotPage:
    """A page of the lots, the newest first; `after` is the id of the last one seen. Raises InvalidRequest, NotFound."""
    await read_customer(tx, customer)
    if not 1 <= limit <= MOST_LOTS_SHOWN:
        raise InvalidRequest("limit is out of range", fix=f"send a limit from 1 to {MOST_LOTS_SHOWN}")
    rows = await lots_before(tx, customer, after, limit + 1)
    if rows is None:
        raise InvalidRequest(
            "after is not a lot of this customer", code="invalid_cursor", fix="send the `next` of the page before"
        )
    state = await read(tx, catalog, customer, now)
    views = [_view(catalog, row, state.lots.get(row["meter"], ())) for row in rows[:limit]]
    return LotPage(views, views[-1].id if len(rows) > limit else None)


def _view(catalog: Catalog, row: Row, live: tuple[Lot, ...]) -> LotView:
    meter = catalog.meters.get(row["meter"])
    decimals = meter.decimals if meter else 0
    held = next((lot for lot in live if lot.id == row["id"]), None)
    expires_at = held.expires_at if held else row["expires_at"]
    carried = row["reason"] == CARRIED_OVER
    value = None
    # What was paid for a lot that was carried over stands at the lots it came of, and is told there only.
    if row["paid_minor"] is not None and not carried:
        paid = Money(row["paid_minor"], row["currency"])
        value = value_of(paid, row["amount"], left_of(row["id"], live), row["refunded_minor"] or 0)
    return LotView(
        row["id"], row["meter"], row["source"], unscale(row["amount"], decimals),
        unscale(held.remaining if held else 0, decimals), rfc3339(row["granted_at"]),
        None if expires_at is None else rfc3339(expires_at), row["reason"] or "", carried,
        None
        if value is None
        else LotMoney(
            value.paid.currency, value.paid.amount_minor, value.deferred_minor, value.earned_minor, value.refunded_minor
        ),
    )  # fmt: skip
