"""What time alone does to customers that nobody asks about: periods turn, lots expire, plans end (rule 7)."""

import structlog

from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import TollhouseError
from tollhouse.ledger.book import open_book
from tollhouse.ledger.queries import ACCOUNTS_DUE
from tollhouse.store import Store

ACCOUNTS_AT_ONCE = 200

log = structlog.get_logger(__name__)


async def sweep_accounts(store: Store, catalog: Catalog) -> bool:
    """Bring accounts whose time has come to the present, each in its own transaction. Whether there may be more."""
    async with store.reading() as tx:
        due = await tx.fetch(ACCOUNTS_DUE, now=store.clock.now_ms(), most=ACCOUNTS_AT_ONCE)
    done = 0
    for row in due:
        try:
            async with store.transaction() as tx:
                book = await open_book(tx, catalog, row["customer"], store.clock.now_ms())
                await book.save(tx)
            done += 1
        except TollhouseError as error:  # one account that cannot be brought on must not stop the others
            log.error("sweep.failed", customer=row["customer"], error=str(error))
    return done == ACCOUNTS_AT_ONCE
