"""Customers as staff look for them: by address, name or id, the newest first, with plan, standing and balance."""

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.customers import queries
from tollhouse.customers.actions import customer_from
from tollhouse.customers.model import Customer
from tollhouse.ledger.book import decode_state, plan_of
from tollhouse.ledger.model import Standing
from tollhouse.ledger.turning import advance
from tollhouse.ledger.views import MeterView, all_meters
from tollhouse.store import Tx

_LAST = 1 << 60


class FoundCustomer(msgspec.Struct, frozen=True):
    """One line of the list, as the account stands at the moment of the look."""

    customer: Customer
    plan: str
    plan_title: str
    standing: Standing
    meters: dict[str, MeterView]


async def search_customers(
    tx: Tx, catalog: Catalog, text: str, now: int, *, before: tuple[int, str] | None = None, most: int = 50
) -> list[FoundCustomer]:
    """Those whose address or name holds `text`, or whose id it is; all when it is empty. `before` is where a page ended."""
    at, identifier = before or (_LAST, "")
    wanted = "".join(letter for letter in text if letter.isprintable()).strip()[:200]
    if wanted:
        quoted = wanted.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
        rows = await tx.fetch(
            queries.SEARCH_CUSTOMERS, like=f"%{quoted}%", exact=wanted, before=at, before_id=identifier, most=most
        )
    else:
        rows = await tx.fetch(queries.LIST_CUSTOMERS, before=at, before_id=identifier, most=most)
    found = []
    for row in rows:
        state = decode_state(row["state"])
        state = advance(state, catalog, max(now, state.decided_at))[0]
        plan = plan_of(catalog, state)
        meters = all_meters(state, plan, catalog, now)
        found.append(FoundCustomer(customer_from(row), plan.plan, plan.title, state.standing, meters))
    return found


async def count_customers(tx: Tx) -> int:
    """How many there are."""
    row = await tx.fetch_one(queries.COUNT_CUSTOMERS)
    return int(row["number"]) if row is not None else 0
