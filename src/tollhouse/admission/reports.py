"""Refusals as staff look at them, over all customers."""

import msgspec

from tollhouse.store import Sql, Tx

_NEWEST = Sql(
    "select customer, minute, action, reason, refused from refusal where minute >= :since"
    " order by minute desc, customer, action, reason limit :most"
)
_BY_REASON = Sql(
    "select reason, sum(refused) as refused, count(distinct customer) as customers from refusal"
    " where minute >= :since group by reason order by 2 desc, 1"
)


class RefusalLine(msgspec.Struct, frozen=True):
    """How often one customer was refused one action for one reason, in the minute that begins at `minute` (ms)."""

    customer: str
    minute: int
    action: str
    reason: str
    refused: int


class ReasonCount(msgspec.Struct, frozen=True):
    """How often a reason was given, and to how many customers."""

    reason: str
    refused: int
    customers: int


async def newest_refusals(tx: Tx, since: int, most: int = 200) -> list[RefusalLine]:
    """The newest minutes first."""
    rows = await tx.fetch(_NEWEST, since=since, most=most)
    return [RefusalLine(r["customer"], r["minute"], r["action"], r["reason"], r["refused"]) for r in rows]


async def refusals_by_reason(tx: Tx, since: int) -> list[ReasonCount]:
    """The most frequent reason first."""
    rows = await tx.fetch(_BY_REASON, since=since)
    return [ReasonCount(r["reason"], int(r["refused"]), r["customers"]) for r in rows]
