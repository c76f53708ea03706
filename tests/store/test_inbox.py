"""Events that wait are found by their indexes, also where nothing is known about the table yet."""

from __future__ import annotations

import pytest

from tollhouse.alerts.queries import REFUSED_WAITING
from tollhouse.store import Sql, Tx, inbox, open_store

EVENTS = 300
PLANNED = {
    inbox._ANY_DUE: {"ix_inbox_pending"},
    inbox._SUBJECTS: {"ix_inbox_pending", "ix_inbox_subject"},
    inbox._CLAIM: {"ix_inbox_subject", "pk_inbox"},
    inbox._DONE: {"ix_inbox_subject"},
    inbox._COUNT_PENDING: {"ix_inbox_pending"},
    inbox._LIST["parked"]: {"ix_inbox_parked"},
    REFUSED_WAITING: {"ix_inbox_parked"},
}


async def plan_of(tx: Tx, sql: Sql) -> str:
    """How the database does it, whatever the values are."""
    values = {
        "source": "stripe", "subject": "cus_7", "claim": "clm_1", "note": None, "now": 1, "until": 2, "most": 64, "before": 9
    }  # fmt: skip
    if tx.dialect == "postgresql":
        given = ", ".join(repr(values[name]) if values[name] is not None else "null" for name in sql.parameters)
        await tx.execute(Sql("set local plan_cache_mode = force_generic_plan"))
        await tx.execute(Sql(f"prepare planned as {sql.for_postgres}"))
        rows = await tx.fetch(Sql(f"explain execute planned{f'({given})' if given else ''}"))
        await tx.execute(Sql("deallocate planned"))
        return "\n".join(row["QUERY PLAN"] for row in rows)
    rows = await tx.fetch(Sql(f"explain query plan {sql.text}"), **{name: values[name] for name in sql.parameters})
    return "\n".join(str(row["detail"]) for row in rows).replace("sqlite_autoindex_inbox_1", "pk_inbox")


@pytest.mark.parametrize("events", [0, EVENTS])
async def test_whoever_claims_never_reads_the_whole_inbox(schema_url: str, events: int) -> None:
    store = await open_store(schema_url)
    now = store.clock.now_ms()
    rows = [(f"evt_{number}", "invoice.paid", f"cus_{number}", "{}") for number in range(events)]
    async with store.transaction() as tx:
        if rows:
            await inbox.receive_all(tx, "stripe", rows, now)
        for sql, indexes in PLANNED.items():
            plan = await plan_of(tx, sql)
            used = {word.strip("(),") for line in plan.splitlines() for word in line.split()}
            assert {word for word in used if word.startswith(("ix_inbox", "pk_inbox"))} == indexes, plan
            assert "Seq Scan" not in plan, plan
            assert "SCAN inbox" not in plan.replace("SCAN inbox USING INDEX", ""), plan
    await store.close()


async def test_a_claim_takes_every_event_of_a_few_subjects_and_leaves_those_that_are_taken(schema_url: str) -> None:
    store = await open_store(schema_url)
    now = store.clock.now_ms()
    rows = [(f"evt_{number:02}", "invoice.paid", f"cus_{number % 5}", "{}") for number in range(20)]
    async with store.transaction() as tx:
        await inbox.receive_all(tx, "stripe", rows, now)
        first = await inbox.claim(tx, now, 60_000, "clm_1", subjects=2)
        second = await inbox.claim(tx, now, 60_000, "clm_2", subjects=2)
        third = await inbox.claim(tx, now, 60_000, "clm_3")
        assert await inbox.claim(tx, now, 60_000, "clm_4") == []
    taken = [{event.subject for event in claimed} for claimed in (first, second, third)]
    assert [len(subjects) for subjects in taken] == [2, 2, 1]
    assert set.union(*taken) == {f"cus_{number}" for number in range(5)}
    assert sorted(event.id for event in (*first, *second, *third)) == [id for id, *_ in rows]
    async with store.transaction() as tx:
        assert await inbox.done(tx, [(event, "clm_2") for event in first], now) == set(), "another one's claim"
        assert await inbox.done(tx, [(first[0], "clm_1")], now) == {
            event.id for event in first if event.subject == first[0].subject
        }
    await store.close()


async def test_many_events_of_one_subject_keep_nobody_from_claiming(schema_url: str) -> None:
    """A claim must look once at each event that waits, not at all of them for each: it holds SQLite's one writer."""
    store = await open_store(schema_url)
    now = store.clock.now_ms()
    rows = [(f"evt_{number:04}", "invoice.paid", "cus_busy", "{}") for number in range(4_000)]
    async with store.transaction() as tx:
        await inbox.receive_all(tx, "stripe", [*rows, ("evt_later", "invoice.paid", "cus_other", "{}")], now)
        assert len(await inbox.claim(tx, now, 60_000, "clm_1", most=10, subjects=1)) == 10
    plans = []
    async with store.transaction() as tx:
        plans.append(await plan_of(tx, inbox._SUBJECTS))
        [other] = await inbox.claim(tx, now, 60_000, "clm_2")
        assert other.subject == "cus_other"
    assert ("COVERING INDEX ix_inbox_subject" if store.dialect == "sqlite" else "Index Only Scan") in plans[0], plans[0]
    await store.close()
