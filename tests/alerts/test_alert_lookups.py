"""Whether an alert is over is asked every few seconds: an index answers, in tables of thousands of rows."""

from __future__ import annotations

import pytest

from tollhouse.alerts import queries
from tollhouse.store import Sql, open_store

NUMBERS = "with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 5000)"
FILL = (
    Sql(
        f"{NUMBERS} insert into inbox (source, id, type, subject, payload, received_at, status, attempts, due_at)"
        " select 'stripe', 'evt_' || n, 'invoice.paid', 'cus_' || n, '{}', n, 'done', 0, n from numbers"
    ),
    Sql(
        f"{NUMBERS} insert into subscription (cell, customer, id, status, plan, version, price, every, currency,"
        " amount_minor, created_at, period_start, period_end)"
        " select 0, 'cus_' || n, 'sub_' || n, 'active', 'pro', 1, 'price_1', 'month', 'usd', 900, n, n, n from numbers"
    ),
)
ANSWERED = {
    queries.PARKED_OF: ("ix_inbox_subject", "ix_inbox_parked"),  # none is parked: that index is empty
    queries.REFUSED_WAITING: ("ix_inbox_parked",),
    queries.UNMAPPED: ("ix_subscription_unmapped",),
    queries.SECOND: ("ix_subscription_second",),
}


@pytest.mark.parametrize("sql", ANSWERED, ids=lambda sql: sql.text.split()[3])
async def test_whether_an_alert_is_over_is_found_by_an_index(schema_url: str, sql: Sql) -> None:
    store = await open_store(schema_url)
    try:
        postgres = store.dialect == "postgresql"
        async with store.transaction() as tx:
            for fill in FILL:
                await tx.execute(fill)
            await tx.execute(Sql("analyze"))
        async with store.reading() as tx:
            values = {"name": "cus_none"} if sql.parameters else {}
            rows = await tx.fetch(Sql(("explain " if postgres else "explain query plan ") + sql.text), **values)
        plan = "\n".join(str(row["QUERY PLAN" if postgres else "detail"]) for row in rows)
        assert any(index in plan for index in ANSWERED[sql]), plan
    finally:
        await store.close()
