"""Refusals as staff look at them, over all customers."""

import msgspec

from tollhouse.admission import queries
from tollhouse.store import Tx


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
    rows = await tx.fetch(queries.NEWEST_REFUSALS, since=since, most=most)
    return [RefusalLine(r["customer"], r["minute"], r["action"], r["reason"], r["refused"]) for r in rows]


async def refusals_by_reason(tx: Tx, since: int) -> list[ReasonCount]:
    """The most frequent reason first."""
    rows = await tx.fetch(queries.REFUSALS_BY_REASON, since=since)
    return [ReasonCount(r["reason"], int(r["refused"]), r["customers"]) for r in rows]
