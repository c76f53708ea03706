"""`verify` counts every account again: nothing is found in honest books, and everything that was changed behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.ledger.lives import ADA, BEN, Town
from tests.ledger.world import CATALOG, CUSTOMER, DAY, STARTER, Account, at
from tollhouse.admission.model import HoldTerms
from tollhouse.admission.verify import check_slots
from tollhouse.kernel.errors import NotFound
from tollhouse.ledger import verify
from tollhouse.ledger.recount import compare, recompute
from tollhouse.ledger.verify import Report, verify_all
from tollhouse.store import Sql, Value, cell_of

TABLES = ("account", "entry", "idempotency_key", "lot")
MINE = "cell = :cell and customer = :customer"
NEWEST = f"(select max(seq) from entry where {MINE})"

# What somebody does to Ada's rows behind Tollhouse's back, and (meter, check) of one of the findings.
TAMPERINGS: dict[str, tuple[str, str | None, str]] = {
    "a balance is edited": (
        f"update account set state = replace(state, '\"used\":60001', '\"used\":1') where {MINE}",
        "credits", "what is left in lot_",
    ),
    "use of a quota is edited": (
        f"update account set state = replace(state, '{{\"used\":3,', '{{\"used\":2,') where {MINE}",
        "sessions", "use in the period from",
    ),
    "a slot disappears": (
        f"update account set state = replace(state, '\"concurrent\":1', '\"concurrent\":0') where {MINE}",
        "concurrent", "what is held or owned",
    ),
    "an owned thing disappears": (
        f"update account set state = replace(state, '\"projects\":1', '\"projects\":0') where {MINE}",
        "projects", "what is held or owned",
    ),
    "a rate forgets": (
        f"update account set state = replace(state, '\"counts\":[5,', '\"counts\":[0,') where {MINE}",
        "requests", "what was asked in the window",
    ),
    "the plan is one that was never sold": (
        f"update account set state = replace(state, '\"plan\":\"free\"', '\"plan\":\"gold\"') where {MINE}",
        None, "the plan is one that was sold",
    ),
    "a lot is said to last for ever": (
        f"update account set state = replace(state, '\"expires_at\":', '\"expires_never\":') where {MINE}",
        "credits",
        "the terms of lot_",
    ),
    "the document is torn": (
        f"update account set state = substr(state, 1, 40) where {MINE}", None, "the account's document can be read",
    ),
    "the due column is emptied": (f"update account set next_due = null where {MINE}", None, "the column next_due"),
    "an entry is deleted": (f"delete from entry where {MINE} and seq = 4", None, "an entry at every position"),
    "the newest entry is deleted": (
        f"delete from entry where {MINE} and seq = {NEWEST}", None, "the position of the newest entry",
    ),
    "an entry is doubled": (
        "insert into entry (cell, customer, seq, kind, action, at, moves, remaining, used, target, metadata)"
        f" select cell, customer, {NEWEST} + 1, kind, action, at, moves, remaining, used, target, metadata"
        f" from entry where {MINE} and kind = 'return'",
        "credits", "what is left in lot_",
    ),
    "a refund is booked twice as large": (
        f"update entry set metadata = replace(metadata, ',1000]', ',2000]') where {MINE} and kind = 'return'",
        "credits", "gives back no more than it took",
    ),
    "an entry takes less than it took": (
        f"update entry set moves = replace(moves, ',-60001]', ',-1]') where {MINE}", "credits", "what is left in lot_",
    ),
    "an entry's moves are torn": (
        f"update entry set moves = '[[' where {MINE} and seq = 4", None, "entry 4 can be read",
    ),
    "an entry's sum is edited": (
        f"update entry set remaining = remaining + 1 where {MINE} and seq = 5", None, "the sums of entry 5",
    ),
    "a refund names another admission": (
        f"update entry set target = 1 where {MINE} and kind = 'return'", None, "refers to an admission",
    ),
    "an entry is moved to another cell": (
        f"update entry set cell = 63 - cell where {MINE} and seq = 4", None, "entries belong to an account",
    ),
    "an account is deleted": (f"delete from account where {MINE}", None, "entries belong to an account"),
    "a lot's row grows": (f"update lot set amount = amount + 1 where {MINE} and source = 'grant'", "credits", "the row of"),
    "a lot's row is deleted": (
        f"delete from lot where {MINE} and source = 'grant'", "credits", "every granted lot has its row",
    ),
    "a lot's row says that it has ended": (
        f"update lot set ended_at = 1 where {MINE} and until is not null", "credits", "has ended",
    ),
    "a lot is invented": (
        "insert into lot (cell, customer, id, meter, amount, source, granted_at, since)"
        " values (:cell, :customer, 'lot_of_gold', 'credits', 1000000, 'grant', 1, 0)",
        "credits", "every lot was granted by an entry",
    ),
    "a key points to nothing": (
        f"update idempotency_key set seq = 999 where {MINE} and key = 'k-1'", None, "the entry of the admit key 'k-1'",
    ),
    "a key points to another entry": (
        f"update idempotency_key set seq = 1 where {MINE} and key = 'k-1'", None, "the entry of the admit key 'k-1'",
    ),
    "an answer tells another debit": (
        f"update idempotency_key set answer = replace(answer, '7.25', '1.25') where {MINE} and key = 'k-2'",
        "credits", "the debit in the answer of the admit key 'k-2'",
    ),
    "an answer tells another id": (
        f"update idempotency_key set answer = replace(answer, '\"hld_', '\"adm_') where {MINE} and key = 'h-1'",
        None, "the id in the answer of the hold key 'h-1'",
    ),
    "an answer tells a larger grant": (
        f"update idempotency_key set answer = replace(answer, '5000', '9000') where {MINE} and key = 'welcome'",
        None, "the lot in the answer of the grant key 'welcome'",
    ),
    "an answer is torn": (
        f"update idempotency_key set answer = '{{' where {MINE} and key = 'k-1'", None, "can be read",
    ),
}  # fmt: skip


@asynccontextmanager
async def afterwards_as_before(town: Town) -> AsyncIterator[None]:
    """Put every row back as it was."""
    async with town.store.reading() as tx:
        kept = {table: [dict(row) for row in await tx.fetch(Sql(f"select * from {table}"))] for table in TABLES}
    yield
    async with town.store.transaction() as tx:
        for table, rows in kept.items():
            await tx.execute(Sql(f"delete from {table}"))
            columns = ", ".join(rows[0])
            values = ", ".join(f":{name}" for name in rows[0])
            await tx.execute_many(Sql(f"insert into {table} ({columns}) values ({values})"), rows)


def told(report: Report) -> list[tuple[str, str | None, str]]:
    return [(finding.customer, finding.meter, finding.check) for finding in report.findings]


@pytest.mark.row("X17")
async def test_honest_books_have_nothing_to_find_and_every_tampering_is_found(town: Town) -> None:
    honest = await verify_all(town.store, town.catalog)
    assert (honest.customers, told(honest)) == (2, [])
    assert honest.entries > 40
    assert honest.keys == 16

    where: dict[str, Value] = {"cell": cell_of(ADA), "customer": ADA}
    for name, (statement, meter, check) in TAMPERINGS.items():
        async with afterwards_as_before(town):
            async with town.store.transaction() as tx:
                changed = await tx.execute(Sql(statement), **where)
            assert changed >= 1, name
            report = await verify_all(town.store, town.catalog)
            found = told(report)
            assert any(meter == told_meter and check in told_check for _, told_meter, told_check in found), (
                name,
                found,
            )
            assert {customer for customer, _, _ in found} == {ADA}, name
            assert report.findings_in_all == len(report.findings)
            assert all(finding.fix and finding.expected != finding.found for finding in report.findings), name
    assert told(await verify_all(town.store, town.catalog)) == []


async def test_one_customer_is_verified_alone(town: Town) -> None:
    async with town.store.transaction() as tx:
        await tx.execute(Sql("update entry set used = used + 1 where customer = :customer and seq = 3"), customer=BEN)

    assert told(await verify_all(town.store, town.catalog, customer=ADA)) == []
    report = await verify_all(town.store, town.catalog, customer=BEN)
    assert (report.customers, told(report)) == (1, [(BEN, None, "the sums of entry 3")])
    with pytest.raises(NotFound):
        await verify_all(town.store, town.catalog, customer="cus_01jd0000000000000000000009")


async def test_pages_and_reads_of_any_size_come_to_the_same(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await verify_all(town.store, town.catalog)
    monkeypatch.setattr(verify, "CUSTOMERS_A_PAGE", 1)
    monkeypatch.setattr(verify, "ROWS_A_READ", 3)
    seen: list[tuple[int, int]] = []

    by_steps = await verify_all(town.store, town.catalog, progress=lambda done, of: seen.append((done, of)))

    assert by_steps == whole
    assert seen == [(1, 2), (2, 2), (2, 2)]


async def test_a_long_list_of_findings_is_cut_and_counted(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MOST_FINDINGS", 3)
    async with town.store.transaction() as tx:
        await tx.execute(Sql("update idempotency_key set seq = 999"))

    report = await verify_all(town.store, town.catalog)

    assert (len(report.findings), report.findings_in_all) == (3, 16)


def test_the_pure_recount_agrees_with_a_life_of_its_own() -> None:
    ada = Account(at("2026-01-31"))
    ada.admit(at("2026-01-31"), credits=3_000, requests=2, sessions=1)
    ada.subscribe(at("2026-02-10"), STARTER, anchor=at("2026-02-10"))
    ada.pay(at("2026-02-10"), STARTER, (at("2026-02-10"), at("2026-03-10")))
    ada.admit(at("2026-02-11"), credits=3_000, requests=2, projects=1)
    ada.until(at("2026-02-11") + 9 * DAY)

    recount = recompute(CUSTOMER, ada.entries, CATALOG)

    assert recount.findings == []
    assert compare(recount, ada.state, ada.facts, ada.state.next_due) == []
    assert CATALOG.version(ada.state.plan, ada.state.plan_version) is STARTER


async def test_slots_are_those_of_open_sessions_and_holds(town: Town) -> None:
    await town.ask(BEN, "h-2", {"sessions": 1}, "hold", HoldTerms(60_000))
    checks = [check_slots]
    assert told(await verify_all(town.store, town.catalog, checks=checks)) == []

    async with town.store.transaction() as tx:
        await tx.execute(
            Sql("update lease set ended_at = 1 where customer = :customer and ended_at is null"), customer=BEN
        )

    report = await verify_all(town.store, town.catalog, checks=checks)
    assert [(finding.customer, finding.meter, finding.expected, finding.found) for finding in report.findings] == [
        (BEN, "concurrent", 0, 1)
    ]
