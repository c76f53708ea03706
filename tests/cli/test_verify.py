"""`tollhouse verify`: silent bookkeeping errors become an exit status, a table, and a fix."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.catalog.files import RIGHT, write
from tests.cli.running import CommandLine
from tollhouse.catalog import load_catalog
from tollhouse.ledger import actions
from tollhouse.store import Sql, open_store

ADA = "cus_01jd0000000000000000000000"


@pytest.fixture
def tollhouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], schema_url: str
) -> CommandLine:
    """An installation with one customer who has made a project."""
    command_line = CommandLine(tmp_path, monkeypatch, capsys)
    command_line.set(ENVIRONMENT="test", DATABASE_URL=schema_url)
    write(tmp_path, RIGHT)
    asyncio.run(_sign_up(schema_url, tmp_path))
    return command_line


async def _sign_up(url: str, directory: Path) -> None:
    catalog = load_catalog(directory / "tollhouse.toml")
    store = await open_store(url)
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        await actions.open_account(tx, catalog, ADA, now, verified=True)
        await actions.take_in_transaction(tx, catalog, ADA, {"projects": 1, "credits": 2_500}, "create_project", now)
    await store.close()


def tamper(url: str, statement: str) -> None:
    async def run() -> None:
        store = await open_store(url)
        async with store.transaction() as tx:
            await tx.execute(Sql(statement))
        await store.close()

    asyncio.run(run())


@pytest.mark.row("X17")
def test_honest_books(tollhouse: CommandLine) -> None:
    ran = tollhouse("verify")

    assert (ran.status, ran.out) == (0, "customers 1, entries 3, keys 0: nothing found\n")


def test_a_changed_balance_is_found_with_its_fix(tollhouse: CommandLine, schema_url: str) -> None:
    tamper(schema_url, "update account set state = replace(state, '\"used\":2500', '\"used\":0')")

    ran = tollhouse("verify")

    assert ran.status == 1
    line = ran.out.splitlines()[0].split("\t")
    assert line[:2] == [ADA, "credits"]
    assert line[3:5] == ["97.5", "100"]
    assert "restore" in line[5]
    assert ran.out.endswith("1 found\n")


def test_a_machine_reads_the_findings_as_json(tollhouse: CommandLine, schema_url: str) -> None:
    tamper(schema_url, "update entry set used = used + 1 where seq = 2")

    ran = tollhouse("verify", "--json", "--customer", ADA)

    report = msgspec.json.decode(ran.out)
    assert ran.status == 1
    assert (report["customers"], report["findings_in_all"]) == (1, 1)
    assert {"customer", "meter", "check", "expected", "found", "fix"} <= set(report["findings"][0])


def test_a_customer_that_is_not_there_is_an_error_and_no_clean_bill(tollhouse: CommandLine) -> None:
    ran = tollhouse("verify", "--customer", "cus_01jd0000000000000000000009")

    assert ran.status == 1
    assert "there is no customer" in ran.err
