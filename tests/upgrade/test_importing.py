"""The users of a system that sold minutes become customers of ours, once, with what Stripe knows of them (row S12)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import CommandLine
from tests.upgrade.minutes import OLD_PLANS, OLD_TABLES, load, rows, run, sessions_toml
from tollhouse.billing.old_tables import moment
from tollhouse.catalog.actions import refresh
from tollhouse.catalog.load import load_catalog
from tollhouse.customers.actions import read_customer, resolve
from tollhouse.ledger.book import read_state
from tollhouse.ledger.model import State
from tollhouse.store import open_store, schema

SECRET = "a secret for sessions of at least thirty-two bytes"


@pytest.fixture
def old(tollhouse: CommandLine, database_url: str) -> CommandLine:
    """The old database, brought to our schema, and the file that sells sessions."""
    load(database_url, [f"insert into monthly_usage (user_id, month, minutes_included, total_minutes_used)"
                        f" values ('user_2wq1Ada', '{time.strftime('%Y-%m', time.gmtime())}', 3000, 41.5);"])  # fmt: skip
    (tollhouse.directory / "tollhouse.toml").write_text(sessions_toml())
    tollhouse.set(DATABASE_URL=database_url, ENVIRONMENT="test", SESSION_SECRET=SECRET)
    schema.upgrade(database_url)
    return tollhouse


def state_of(tollhouse: CommandLine, url: str, old_id: str) -> tuple[str, State]:
    """The customer that an old user is now: its address and account."""

    async def read() -> tuple[str, State]:
        store = await open_store(url)
        try:
            async with store.reading() as tx:
                catalog = await refresh(tx, load_catalog(tollhouse.directory / "tollhouse.toml"))
                customer = await resolve(tx, old_id)
                state = await read_state(tx, catalog, customer, store.clock.now_ms())
                return (await read_customer(tx, customer)).email, state
        finally:
            await store.close()

    return asyncio.run(read())


def imported(tollhouse: CommandLine, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tollhouse("migrate", "import", "--json", *more).out)
    return found


@pytest.mark.row("S12")
def test_every_old_user_becomes_a_customer_with_the_plan_and_stripes_ids(old: CommandLine, database_url: str) -> None:
    before = {table: rows(database_url, table) for table in ("legacy_users", "subscriptions", "monthly_usage")}
    done = imported(old)
    assert (done["users"], done["imported"], done["failed"]) == (10, 8, 2)
    assert {failure["old_id"] for failure in done["failures"]} == {"user_2wq8Dup", "user_2wq9Bad"}
    assert all("fix:" in failure["reason"] for failure in done["failures"])

    plans = {name: state_of(old, database_url, name)[1] for name in ("user_2wq1Ada", "user_2wq2Gra", "user_2wq7Emm")}
    assert {name: state.plan for name, state in plans.items()} == {
        "user_2wq1Ada": "pro", "user_2wq2Gra": "business", "user_2wq7Emm": "pro",
    }  # fmt: skip
    assert plans["user_2wq7Emm"].standing == "past_due"
    assert plans["user_2wq1Ada"].quotas["sessions"].session_ms == 41.5 * 60_000
    for ended in ("user_2wq3Sop", "user_2wq4Eva", "user_2wq6Kat"):  # Sophie's ended with its period, long ago
        assert state_of(old, database_url, ended)[1].plan == "free"
    assert state_of(old, database_url, "user_2wq2Gra")[0] == "grace@example.com"

    links = {row["id"]: row["customer"] for row in rows(database_url, "stripe_customer")}
    customers = {row["external_id"]: row for row in rows(database_url, "customer")}
    assert links == {
        row["stripe_customer_id"]: customers[row["id"]]["id"] for row in before["legacy_users"] if row["stripe_customer_id"]
    }  # fmt: skip
    assert customers["user_2wq1Ada"]["created_at"] == 1_741_000_000_000
    assert customers["user_2wq4Eva"]["name"] == "Évariste Galois"
    live = {(row["id"], row["plan"], row["price"]) for row in rows(database_url, "subscription")}
    assert live >= {("sub_minutes_ada", "pro", "price_minutes_pro"), ("sub_minutes_emmy", "pro", "price_minutes_pro")}
    looks = {row["subject"] for row in rows(database_url, "inbox")}
    assert looks == {"cus_minutes_ada", "cus_minutes_grace", "cus_minutes_sophie", "cus_minutes_emmy"}
    assert {table: rows(database_url, table) for table in before} == before
    assert old("verify").status == 0


@pytest.mark.row("S12")
def test_users_get_in_by_a_new_password_alone(old: CommandLine, database_url: str) -> None:
    imported(old)
    users = rows(database_url, "users")
    assert len(users) == 8
    assert all(user["password_hash"] is None and user["verified_at"] is None for user in users)
    assert all(member["confirmed_at"] is None for member in rows(database_url, "member"))


@pytest.mark.row("S12")
def test_run_again_it_makes_nobody_twice_and_tells_the_same_failures(old: CommandLine, database_url: str) -> None:
    first = imported(old)
    tables = ("customer", "users", "member", "stripe_customer", "subscription", "account", "inbox", "entry")
    before = {table: rows(database_url, table) for table in tables}
    again = imported(old)
    assert (again["imported"], again["failures"]) == (0, first["failures"])
    assert {table: rows(database_url, table) for table in tables} == before


@pytest.mark.row("S12")
def test_whoever_is_mended_in_the_old_tables_comes_over_the_next_time(old: CommandLine, database_url: str) -> None:
    imported(old)
    run(database_url, "update legacy_users set email = 'mended@example.com' where id = 'user_2wq9Bad'")
    assert (imported(old)["imported"], state_of(old, database_url, "user_2wq9Bad")[0]) == (1, "mended@example.com")


@pytest.mark.row("S12")
@pytest.mark.parametrize(
    ("plans", "words", "told"),
    [
        ("", (), "the old plan 'business' (1 of them) is no plan"),
        ("", ("--map", "business=growth"), "the old plan 'pro' (3 of them) is no plan"),
        ("", ("--map", "business=growth", "--map", "pro=starter"), "price_minutes_business at Stripe, which no plan maps to"),
        (OLD_PLANS, ("--map", "pro=business"), "buys pro, not business"),
        (OLD_PLANS, ("--map", "pro"), "'pro' maps nothing"),
    ],
)  # fmt: skip
def test_a_plan_or_price_that_maps_to_nothing_is_told_before_anybody_is_made(
    old: CommandLine, database_url: str, plans: str, words: tuple[str, ...], told: str
) -> None:
    (old.directory / "tollhouse.toml").write_text(sessions_toml(plans))
    said = old("migrate", "import", *words)
    assert said.status == 1
    assert told in said.err
    assert "fix:" in said.err
    assert rows(database_url, "customer") == []


@pytest.mark.row("S12")
@pytest.mark.parametrize("named", ["'pro'", "''"])
def test_who_has_only_subscriptions_that_ended_is_free_though_nobody_is_named_so(
    old: CommandLine, database_url: str, named: str
) -> None:
    run(database_url, f"update legacy_users set plan = {named} where plan = 'free' or plan is null")
    done = imported(old)
    assert (done["imported"], done["plans"]["free"]) == (8, "free")
    assert "" not in done["plans"]
    for ended in ("user_2wq3Sop", "user_2wq6Kat"):
        assert state_of(old, database_url, ended)[1].plan == "free"


@pytest.mark.row("S12")
def test_a_catalogue_without_free_is_told_before_anybody_is_made(old: CommandLine, database_url: str) -> None:
    run(database_url, "update legacy_users set plan = 'pro' where plan = 'free' or plan is null")
    file = old.directory / "tollhouse.toml"
    file.write_text(file.read_text().replace("[plans.free]", "[plans.gratis]\nfree = true"))
    said = old("migrate", "import")
    assert (said.status, "--map free=PLAN" in said.err) == (1, True), said.err
    assert rows(database_url, "customer") == []


@pytest.mark.row("S12")
def test_without_old_tables_it_says_where_they_are_looked_for(tollhouse: CommandLine, schema_url: str) -> None:
    (tollhouse.directory / "tollhouse.toml").write_text(sessions_toml())
    tollhouse.set(DATABASE_URL=schema_url, ENVIRONMENT="test")
    said = tollhouse("migrate", "import")
    assert (said.status, "no table legacy_users" in said.err) == (1, True)


@pytest.mark.row("S12")
def test_killed_at_any_moment_and_run_again_everybody_is_there_once(old: CommandLine, database_url: str) -> None:
    many = ", ".join(f"('user_9{n:05}', 'many{n}@example.com', 'free')" for n in range(1_500))
    run(database_url, f"insert into legacy_users (id, email, plan) values {many}")
    environ = {
        "PATH": os.environ["PATH"], "DATABASE_URL": database_url, "ENVIRONMENT": "test", "SESSION_SECRET": SECRET,
    }  # fmt: skip
    for pause in (1.2, 1.6, 2.4):
        process = subprocess.Popen(
            [sys.executable, "-m", "tollhouse", "migrate", "import"], cwd=old.directory, env=environ,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    imported(old)
    customers = rows(database_url, "customer")
    assert len(customers) == len({row["external_id"] for row in customers}) == 1_508
    assert len(rows(database_url, "member")) == len(rows(database_url, "account")) == 1_508
    assert old("verify").status == 0


def test_old_times_are_read_however_they_were_kept() -> None:
    for text in ("1741000000", "1741000000000", "1741000000.0", "2025-03-03 11:06:40+00", "2025-03-03T11:06:40Z"):
        assert moment(text) == 1_741_000_000_000
    assert moment("2025-03-03 11:06:40") == 1_741_000_000_000
    assert [moment(text) for text in (None, "", "soon", "9" * 40)] == [None] * 4


def test_the_old_tables_of_the_fixture_are_all_looked_at() -> None:
    assert set(OLD_TABLES) >= {"users", "subscriptions", "monthly_usage"}


def test_the_fixture_stands_in_the_package(tmp_path: Path) -> None:
    load(f"sqlite:///{tmp_path / 'old.db'}")
    assert len(rows(f"sqlite:///{tmp_path / 'old.db'}", "users")) == 10
