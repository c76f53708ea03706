"""What the books of a database say, read straight from it and compared with what clients were told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from tollhouse.catalog.actions import publish
from tollhouse.catalog.model import Catalog
from tollhouse.ledger.book import entry_from
from tollhouse.ledger.model import Entry
from tollhouse.ledger.verify import verify_all
from tollhouse.store import Sql, cell_of, open_store
from tollhouse.store.opening import AnyStore

KEYS = Sql(
    "select customer, operation, key, seq, answer from idempotency_key where operation = :operation order by customer, seq"
)
_WHOLE_BOOK = Sql(
    "select seq, kind, action, at, moves, remaining, used, target, metadata from entry"
    " where cell = :cell and customer = :customer order by seq"
)


class Books:
    """The books of one database."""

    def __init__(self, store: AnyStore, catalog: Catalog) -> None:
        self.store = store
        self.catalog = catalog

    async def findings(self) -> list[str]:
        """What `tollhouse verify` would tell; empty when every account is what its entries say."""
        async with self.store.transaction() as tx:
            catalog = await publish(tx, self.catalog, self.store.clock.now_ms())
        report = await verify_all(self.store, catalog)
        return [repr(finding) for finding in report.findings]

    async def entries(self, customer: str) -> list[Entry]:
        """The whole book of a customer, the oldest first."""
        async with self.store.reading() as tx:
            rows = await tx.fetch(_WHOLE_BOOK, cell=cell_of(customer), customer=customer)
        return [entry_from(row) for row in rows]

    async def admissions(self, customer: str, kinds: Iterable[str] = ("admission",)) -> list[Entry]:
        """The debits in a customer's book."""
        wanted = frozenset(kinds)
        return [
            entry for entry in await self.entries(customer) if entry.kind in wanted and entry.action != "create_project"
        ]

    async def answers(self, operation: str = "admit") -> dict[tuple[str, str], str]:
        """Every answer that is kept, by customer and key (requests without a key have one of ours, `~…`)."""
        async with self.store.reading() as tx:
            rows = await tx.fetch(KEYS, operation=operation)
        return {(row["customer"], row["key"]): row["answer"] for row in rows}


@asynccontextmanager
async def books_of(database_url: str, catalog: Catalog) -> AsyncIterator[Books]:
    """Open the books beside whoever serves the database."""
    store = await open_store(database_url)
    try:
        yield Books(store, catalog)
    finally:
        await store.close()
