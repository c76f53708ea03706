"""Customers as staff look for them: by address, name or id, the newest first, with plan, standing and balance."""

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.customers.actions import customer_from
from tollhouse.customers.model import Customer
from tollhouse.ledger.book import decode_state, plan_of
from tollhouse.ledger.model import Standing
from tollhouse.ledger.turning import advance
from tollhouse.ledger.views import MeterView, all_meters
from tollhouse.store import Sql, Tx

_FIELDS = "c.id, c.external_id, c.email, c.name, c.city, c.locale, c.made_by, c.created_at, c.verified_at"
_NEWEST = "order by c.created_at desc, c.id desc limit :most"
_JOIN = "from customer c join account a on a.cell = c.cell and a.customer = c.id and a.scope = ''"
_BEFORE = "(c.created_at < :before or (c.created_at = :before and c.id < :before_id))"
_LIST = Sql(f"select {_FIELDS}, a.state {_JOIN} where {_BEFORE} {_NEWEST}")
_SEARCH = Sql(
    f"select {_FIELDS}, a.state {_JOIN} where {_BEFORE}"
    " and (lower(c.email) like :like escape '!' or lower(c.name) like :like escape '!'"
    f" or c.external_id = :exact or c.id = :exact) {_NEWEST}"
)
_COUNT = Sql("select count(*) as number from customer")
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
        rows = await tx.fetch(_SEARCH, like=f"%{quoted}%", exact=wanted, before=at, before_id=identifier, most=most)
    else:
        rows = await tx.fetch(_LIST, before=at, before_id=identifier, most=most)
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
    row = await tx.fetch_one(_COUNT)
    return int(row["number"]) if row is not None else 0
