"""A database from before invoices had files: what was paid gets its PDF, and nobody a receipt."""

from __future__ import annotations

import asyncio

from tollhouse.store import Sql, open_store
from tollhouse.store.schema import upgrade

PAID = Sql(
    "insert into invoice (cell, customer, id, status, reason, currency, amount_due_minor, amount_paid_minor, net_minor,"
    " tax_minor, created_at, attempts) values (7, 'cus_1', :id, :status, 'manual', 'usd', :due, :due, :net, :tax, 1, 1)"
)
ROWS = (
    ("in_paid", "paid", 1_200, 1_000, 200),
    ("in_before_tax", "paid", 900, None, None),
    ("in_nothing", "paid", 0, 0, 0),
    ("in_open", "open", 900, 900, 0),
)


def test_what_was_paid_before_is_fetched_and_told_to_nobody(database_url: str) -> None:
    upgrade(database_url, "0011")
    asyncio.run(_write(database_url))
    upgrade(database_url)
    assert asyncio.run(_wanted(database_url)) == [("in_before_tax", 0, None), ("in_paid", 0, None)]


async def _write(url: str) -> None:
    store = await open_store(url)
    async with store.transaction() as tx:
        for id, status, due, net, tax in ROWS:
            await tx.execute(PAID, id=id, status=status, due=due, net=net, tax=tax)
    await store.close()


async def _wanted(url: str) -> list[tuple[str, int, int | None]]:
    store = await open_store(url)
    async with store.reading() as tx:
        rows = await tx.fetch(Sql("select invoice, due_at, receipt_by from invoice_file order by invoice"))
    await store.close()
    return [(row["invoice"], row["due_at"], row["receipt_by"]) for row in rows]
