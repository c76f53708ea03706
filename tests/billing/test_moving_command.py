"""`tollhouse migrate pricing` over thousands, killed and stopped at any moment, and run again (rows S18, X4)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.billing.shop import KEY
from tests.cli.running import CommandLine
from tests.support.serving import SESSION_SECRET
from tests.upgrade.minutes import rows, sessions_toml
from tollhouse.catalog.actions import publish
from tollhouse.catalog.load import load_catalog
from tollhouse.cli import migrate_pricing
from tollhouse.customers.actions import create_or_get
from tollhouse.customers.model import NewCustomer
from tollhouse.store import open_store

MANY = 2_000


def many(url: str, file: Path, number: int) -> None:
    """So many customers on the free plan."""

    async def work() -> None:
        store = await open_store(url)
        try:
            async with store.transaction() as tx:
                catalog = await publish(tx, load_catalog(file), store.clock.now_ms())
            for first in range(0, number, 500):
                async with store.transaction() as tx:
                    for each in range(first, min(first + 500, number)):
                        new = NewCustomer(f"u{each}@example.com", locale="fr" if each % 2 else "en")
                        await create_or_get(tx, catalog, new, store.clock.now_ms())
        finally:
            await store.close()

    asyncio.run(work())


@pytest.fixture
def pricing(tollhouse: CommandLine, schema_url: str, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Two thousand customers on the first version of a free plan that the file gives otherwise now."""
    monkeypatch.setattr(migrate_pricing, "LEARN_SECONDS", 0.0)
    file = tollhouse.directory / "tollhouse.toml"
    file.write_text(sessions_toml())
    tollhouse.set(DATABASE_URL=schema_url, ENVIRONMENT="test", SESSION_SECRET=SESSION_SECRET, STRIPE_SECRET_KEY=KEY)
    many(schema_url, file, MANY)
    file.write_text(sessions_toml().replace("sessions = 100,", "sessions = 150,"))
    return tollhouse


def json_of(tollhouse: CommandLine, *words: str) -> Any:
    ran = tollhouse("migrate", "pricing", "--json", *words)
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def interrupted(tollhouse: CommandLine, number: signal.Signals, after: float, *words: str) -> int:
    """The command in a process of its own, with a signal after so many seconds; its exit status."""
    command = [sys.executable, "-m", "tollhouse", "migrate", "pricing", *words]
    process = subprocess.Popen(
        command, cwd=tollhouse.directory, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(after)
    process.send_signal(number)
    return process.wait(60)


@pytest.mark.row("X4", "S18")
def test_the_preview_writes_nothing_and_lists_everybody(pricing: CommandLine, schema_url: str) -> None:
    before = (rows(schema_url, "account"), rows(schema_url, "plan_version"))
    found = json_of(pricing, "--plan")
    assert len(found["moves"]) == MANY
    assert found["looked"] == MANY
    (group,) = found["groups"]
    assert (group["from_version"], group["to_version"], group["moving"], group["told"]) == (1, 2, MANY, 0)
    assert [(line["name"], line["before"], line["after"]) for line in group["changes"]] == [("sessions", 100, 150)]
    said = pricing("migrate", "pricing").out
    assert "free@1\tfree@2\t2000\t0\t0\tsessions a month: 100 → 150" in said
    assert f"{MANY} would move, 0 stay; nothing was changed" in said
    assert (rows(schema_url, "account"), rows(schema_url, "plan_version")) == before


@pytest.mark.row("S18")
def test_killed_at_any_moment_and_run_again_everybody_is_told_and_moved_once(
    pricing: CommandLine, schema_url: str
) -> None:
    chance = random.Random(time.time_ns())
    for _ in range(3):
        interrupted(pricing, signal.SIGKILL, chance.uniform(0.8, 3.0), "--notify")
    json_of(pricing, "--notify")
    mails = [row for row in rows(schema_url, "outbox") if row["fact"] == "mail.requested"]
    assert len(mails) == len({json.loads(mail["payload"])["to"] for mail in mails}) == MANY

    for _ in range(3):
        interrupted(pricing, signal.SIGKILL, chance.uniform(0.8, 3.0), "--apply")
    done = json_of(pricing, "--apply")
    assert (done["failed"], done["untold"], done["stay"]) == (0, 0, 0)
    entries = [row for row in rows(schema_url, "entry") if row["action"] == "subscription_changed"]
    assert len(entries) == len({row["customer"] for row in entries}) == MANY
    assert {json.loads(row["state"])["plan_version"] for row in rows(schema_url, "account")} == {2}
    assert all(row["moved_at"] and row["notified_at"] for row in rows(schema_url, "plan_move"))
    assert json_of(pricing, "--apply")["done"] == 0
    assert pricing("verify").status == 0


@pytest.mark.row("S18")
def test_told_to_stop_it_finishes_what_it_is_at_and_says_so(pricing: CommandLine, schema_url: str) -> None:
    for after in (2.5, 1.8, 1.2, 0.9):  # one of them meets it at work, on machines slow and fast
        status = interrupted(pricing, signal.SIGTERM, after, "--apply", "--without-notice")
        assert status in (0, 130, -signal.SIGTERM)
        moved = sum(row["moved_at"] is not None for row in rows(schema_url, "plan_move"))
        if status == 130:
            assert 0 < moved <= MANY
            break
    assert json_of(pricing, "--apply", "--without-notice")["stopped"] is False
    assert {json.loads(row["state"])["plan_version"] for row in rows(schema_url, "account")} == {2}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--plan", "--apply"), "one thing at a time"),
        (("--notify", "--on", "soon"), "'soon' is no day"),
        (("--from", "gold"), "nobody ever bought a plan 'gold'"),
        (("--to", "starter"), "nobody is named who moves"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_fix(
    tollhouse: CommandLine, schema_url: str, words: tuple[str, ...], told: str
) -> None:
    (tollhouse.directory / "tollhouse.toml").write_text(sessions_toml())
    tollhouse.set(DATABASE_URL=schema_url, ENVIRONMENT="test", SESSION_SECRET=SESSION_SECRET)
    said = tollhouse("migrate", "pricing", *words)
    assert (said.status, told in said.err, "fix:" in said.err) == (1, True, True)
