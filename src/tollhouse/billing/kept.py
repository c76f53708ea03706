"""What our books say of customers at whom Stripe was looked, locked and read for all of them at once."""

from collections.abc import Iterable, Sequence

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.currencies import first_currency
from tollhouse.billing.model import Link, Snapshot
from tollhouse.billing.prices import PriceMap, read_prices
from tollhouse.catalog.model import Catalog
from tollhouse.ledger.book import Book, open_books
from tollhouse.store import Row, Tx, Value, cell_of

EVERY = 1_000_000


class Kept(msgspec.Struct, frozen=True):
    """One customer: its locked book, the rows of its subscriptions and invoices by id, the paid months that it was granted
    as (subscription, plan, period end, month)."""

    link: Link
    book: Book
    prices: PriceMap
    subscriptions: dict[str, Row]
    invoices: dict[str, Row]
    granted: frozenset[tuple[str, str, int, int]]


async def pass_fences(tx: Tx, catalog: Catalog, looks: Sequence[tuple[Link, Snapshot]], now: int) -> dict[str, Kept]:
    """What is kept of the customers whose fence stands where it stood when `Link` was read, by its id. Their fences move
    on, and their accounts are locked, in an order in which no two callers wait for each other. Each may be given once.
    """
    fences: list[dict[str, Value]] = [
        {"id": link.id, "sync_seq": link.sync_seq, "now": now, "due_at": None, "currency": first_currency(snapshot)}
        for link, snapshot in sorted(looks, key=lambda look: look[0].id)
    ]
    passed = {row["id"] for row in await tx.fetch_many(queries.PASS_FENCE, fences)}
    links = [link for link, _ in looks if link.id in passed]
    if not links:
        return {}
    places: list[dict[str, Value]] = [
        {"cell": cell_of(link.customer), "customer": link.customer, "most": EVERY} for link in links
    ]
    books = await open_books(tx, catalog, [link.customer for link in links], now)
    prices = await read_prices(tx, catalog)
    subscriptions = _by_customer(await tx.fetch_many(queries.SUBSCRIPTIONS, places))
    invoices = _by_customer(await tx.fetch_many(queries.INVOICES, places))
    granted = _by_customer(await tx.fetch_many(queries.GRANTED, places))
    return {
        link.id: Kept(
            link,
            books[link.customer],
            prices,
            {row["id"]: row for row in subscriptions.get(link.customer, ())},
            {row["id"]: row for row in invoices.get(link.customer, ())},
            frozenset(
                (row["subscription"], row["plan"], row["period_end"], row["month"])
                for row in granted.get(link.customer, ())
            ),
        )
        for link in links
    }


def _by_customer(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["customer"], []).append(row)
    return found
