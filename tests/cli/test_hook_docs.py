"""docs/reference/webhooks.md and docs/how-to/receive-webhooks.md: what they say is what is sent, and what they show works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest

from tests.cli.running import CommandLine
from tests.support.postgres import free_port
from tests.support.product import TOML
from tests.support.serving import SESSION_SECRET
from tests.support.tree import ROOT
from tollhouse.alerts.hooks.events import EVENTS, TEST_EVENT, body_of, written
from tollhouse.alerts.hooks.model import PAUSES_MS
from tollhouse.cli import command_line
from tollhouse.kernel import facts
from tollhouse.kernel.durations import format_duration

REFERENCE = (ROOT / "docs" / "reference" / "webhooks.md").read_text("utf-8")
HOW_TO = (ROOT / "docs" / "how-to" / "receive-webhooks.md").read_text("utf-8")
AT = 1_795_172_340_000
ADA = "cus_…"
EXAMPLES: tuple[facts.Fact, ...] = (
    facts.CustomerCreated(ADA, "api", "free"),
    facts.PlanChanged(ADA, "free", "starter", AT),
    facts.SubscriptionStarted(ADA, "sub_…", "starter", "month"),
    facts.SubscriptionEnded(ADA, "sub_…", "starter"),
    facts.PaymentSucceeded(ADA, "in_…", 2900, "usd"),
    facts.PaymentFailed(ADA, "in_…", 2900, "usd", declined=True),
    facts.BalanceThreshold(ADA, "credits", 80, 1_000_000, 812_500, 187_500, 3, 1_796_083_200_000),
    facts.BalanceExhausted(ADA, "credits", 1_000_000, 1_000_000, 0, 3, None),
)


def sent(fact: facts.Fact) -> str:
    tag = str(fact.__struct_config__.tag)
    return written(tag, msgspec.json.encode(fact).decode(), ADA, "user_42", AT)


@pytest.mark.row("X6")
def test_the_reference_shows_every_event_as_it_is_sent() -> None:
    shown = {
        example["type"]: example for example in map(json.loads, re.findall(r"```json\n(.*?)```", REFERENCE, re.DOTALL))
    }
    assert shown == {
        **{json.loads(body)["type"]: json.loads(body) for body in map(sent, EXAMPLES)},
        TEST_EVENT: json.loads(body_of(TEST_EVENT, {"endpoint": "hke_…"}, AT)),
    }
    assert re.findall(r"^### `(.*)`$", REFERENCE, re.MULTILINE) == [*EVENTS, TEST_EVENT]


def test_the_reference_states_the_pauses_between_attempts() -> None:
    stated = re.search(r"<!-- pauses -->(.*)<!-- /pauses -->", REFERENCE)
    assert stated is not None
    assert stated[1] == ", ".join("24h" if pause == 86_400_000 else format_duration(pause) for pause in PAUSES_MS)


def test_the_largest_event_that_can_be_is_within_bounds() -> None:
    longest = facts.PaymentFailed("c" * 40, "i" * 255, 2**53, "usd", declined=False, payment="p" * 255)
    assert len(written("payment.failed", msgspec.json.encode(longest).decode(), "c" * 40, "é" * 200, AT)) < 2_048


def test_every_command_and_option_of_the_how_to_exists() -> None:
    (hooks,) = [group for group in command_line(["hooks"]).registered_groups if group.name == "hooks"]
    assert hooks.typer_instance is not None
    known = {command.name for command in hooks.typer_instance.registered_commands}
    assert set(re.findall(r"tollhouse hooks (\w+)", HOW_TO)) <= known
    assert known == set(re.findall(r"tollhouse hooks (\w+)", HOW_TO))


@pytest.fixture
def installed(tollhouse: CommandLine, schema_url: str) -> CommandLine:
    tollhouse.set(ENVIRONMENT="development", DATABASE_URL=schema_url, SESSION_SECRET=SESSION_SECRET)
    (tollhouse.directory / "tollhouse.toml").write_text(TOML)
    return tollhouse


@pytest.mark.row("X6")
def test_the_receiver_of_the_how_to_takes_what_is_signed_and_refuses_the_rest(
    installed: CommandLine, tmp_path: Path
) -> None:
    program = re.search(r"```python\n(.*?)```", HOW_TO, re.DOTALL)
    assert program is not None
    (tmp_path / "receiver.py").write_text(program[1])
    port = free_port()
    ran = installed(
        "hooks", "add", f"http://127.0.0.1:{port}/", "--event", "payment.failed", "--event", "balance.exhausted"
    )
    endpoint, secret = ran.out.split()
    environ = {"PATH": os.environ["PATH"], "PORT": str(port), "TOLLHOUSE_WEBHOOK_SECRET": secret}
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen([sys.executable, "receiver.py"], cwd=tmp_path, env=environ, stdout=out, stderr=err)
    try:
        wait_for(f"http://127.0.0.1:{port}/")
        ran = installed("hooks", "test", endpoint)
        assert (ran.status, "was taken: 204" in ran.out) == (0, True), ran.out
        assert (tmp_path / "out").read_text() == f"hook.test {{'endpoint': '{endpoint}'}}\n"
        assert installed("hooks", "rotate", endpoint, "--overlap", "24h").status == 0
        assert installed("hooks", "test", endpoint).status == 0, "the old secret still verifies"
        assert installed("hooks", "rotate", endpoint, "--overlap", "0s").status == 0
        ran = installed("hooks", "test", endpoint)
        assert (ran.status, "answered 400" in ran.out) == (1, True)
    finally:
        process.kill()
        process.wait()


def wait_for(url: str) -> None:
    """Until somebody answers there, whatever it is."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
