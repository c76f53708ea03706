"""`tollhouse stripe …`: prices made once, events fired at a running instance, what waits replayed."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import tollhouse  # noqa: F401 (a fixture)
from tests.cli.running import CommandLine
from tests.support.serving import SESSION_SECRET, RunningServer, running_server
from tollhouse import presets
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import Running, running_in_thread

AURION = (Path(presets.__file__).parent / "aurion.toml").read_text()
WEBHOOK_SECRET = "whsec_" + secrets.token_urlsafe(24)


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with running_in_thread(Config(port=0, smtp_port=None)) as running:
        yield running


@pytest.fixture
def stripe_settings(sandbox: Running) -> dict[str, str]:
    return {
        "STRIPE_SECRET_KEY": "sk_test_commands", "STRIPE_API_BASE": sandbox.url, "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
    }  # fmt: skip


@pytest.fixture
def served(schema_url: str, tmp_path: Path, stripe_settings: dict[str, str]) -> Iterator[RunningServer]:
    """AURION, served with the sandbox as Stripe; nothing registered there to call it."""
    with running_server(schema_url, AURION, tmp_path / "serving", **stripe_settings) as server:
        yield server


@pytest.fixture
def command(
    tollhouse: CommandLine,  # noqa: F811
    schema_url: str,
    stripe_settings: dict[str, str],
) -> CommandLine:
    """The command line with the same settings as the server."""
    (tollhouse.directory / "tollhouse.toml").write_text(AURION)
    tollhouse.set(DATABASE_URL=schema_url, ENVIRONMENT="test", SESSION_SECRET=SESSION_SECRET, **stripe_settings)
    return tollhouse


def test_setup_makes_every_price_once(command: CommandLine, schema_url: str) -> None:
    first = json.loads(command("stripe", "setup", "--json").out)["prices"]
    second = json.loads(command("stripe", "setup", "--json").out)["prices"]

    assert [(price["plan"], price["amount_minor"], price["outcome"]) for price in first] == [
        ("starter", 900, "created"),
        ("plus", 2_900, "created"),
        ("pro", 9_900, "created"),
        ("enterprise", 49_900, "created"),
        ("pack recharge", 700, "created"),
    ]
    assert [price["outcome"] for price in second] == ["found"] * 5
    assert [price["price"] for price in second] == [price["price"] for price in first]

    (command.directory / "tollhouse.toml").write_text(AURION.replace("amount = 900,", "amount = 1_200,"))
    third = json.loads(command("stripe", "setup", "--json").out)["prices"]
    assert [price["outcome"] for price in third] == ["replaced", *["found"] * 4]
    assert third[0]["product"] == first[0]["product"]


def test_setup_without_a_key_names_the_setting(command: CommandLine, schema_url: str) -> None:
    command.set(STRIPE_SECRET_KEY="")
    ran = command("stripe", "setup")
    assert ran.status == 1
    assert "STRIPE_SECRET_KEY" in ran.err
    assert "fix:" in ran.err


@pytest.mark.row("A19")
def test_events_are_fired_at_a_running_instance_and_watched(command: CommandLine, served: RunningServer) -> None:
    for event, plan, standing, credits in [
        ("checkout.session.completed", "starter", "good", 1_000),
        ("invoice.payment_failed", "starter", "past_due", 1_000),
        ("invoice.payment_succeeded", "starter", "good", 1_000),
        ("customer.subscription.updated", "starter", "good", 1_000),
        ("customer.subscription.deleted", "free", "good", 1_000),
        ("customer.subscription.created", "starter", "good", 1_000),
    ]:
        ran = command("stripe", "trigger", event, "--url", served.url, "--json")
        report = json.loads(ran.out)
        assert (ran.status, report["settled"]) == (0, True), report
        assert event in [shot["type"] for shot in report["shots"]]
        assert {shot["http_status"] for shot in report["shots"]} == {200}
        after = report["after"]
        assert (event, after["plan"], after["standing"]) == (event, plan, standing)
        assert (event, after["meters"]["credits"]["total"]) == (event, credits)


@pytest.mark.row("A19", "A9")
def test_a_wrong_secret_is_seen_by_whoever_fires(command: CommandLine, served: RunningServer) -> None:
    command.set(STRIPE_WEBHOOK_SECRET="whsec_" + "q" * 30)
    ran = command("stripe", "trigger", "checkout.session.completed", "--url", served.url, "--wait", "0", "--json")
    assert ran.status == 1
    shots = json.loads(ran.out)["shots"]
    assert {shot["http_status"] for shot in shots} == {400}
    # Refused; and as soon as the worker has heard from Stripe that it sent them, waiting for staff.
    assert {shot["inbox_status"] for shot in shots} <= {"missing", "parked"}
    assert "wrong_secret" in served.log


def test_an_instance_that_is_not_there_is_named(command: CommandLine, schema_url: str) -> None:
    ran = command("stripe", "trigger", "checkout.session.completed", "--url", "http://127.0.0.1:9")
    assert ran.status == 1
    assert "http://127.0.0.1:9/webhooks/stripe does not answer" in ran.err


@pytest.mark.row("A9")
def test_a_replay_warns_while_the_last_webhook_was_refused(
    command: CommandLine, served: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("tollhouse.cli.stripe.tell", said.append)
    assert (command("stripe", "events").out, said) == ("", ["nothing waits"])
    nothing = command("stripe", "replay", "--all")
    assert (nothing.status, nothing.out, nothing.err) == (0, "0 to be handled again\n", "")
    command.set(STRIPE_WEBHOOK_SECRET="whsec_" + "q" * 30)
    command("stripe", "trigger", "checkout.session.completed", "--url", served.url, "--wait", "0", "--json")
    deadline = time.monotonic() + 30
    while not (waiting := command("stripe", "events").out):
        assert time.monotonic() < deadline, served.log
        time.sleep(0.2)
    meaning = "its signature was refused: webhooks come in, and STRIPE_WEBHOOK_SECRET did not sign them; fix: "
    assert meaning in waiting
    ran = command("stripe", "replay", "--all")
    assert ran.status == 0
    assert ran.err.startswith("warning: the last webhook from Stripe was refused for its signature")
    assert "fix: `tollhouse stripe validate`" in ran.err


@pytest.mark.row("U9")
def test_a_purchase_that_nobody_told_us_of_is_found_shown_and_repaired(
    command: CommandLine, schema_url: str, sandbox: Running
) -> None:
    quiet = command("stripe", "trigger", "checkout.session.completed", "--url", "http://127.0.0.1:9", "--json")
    assert quiet.status == 1  # paid at Stripe; the event reached nobody

    shown = json.loads(command("stripe", "reconcile", "--dry-run", "--json").out)
    assert shown["run"]["different"] == 1
    plan = next(line for line in shown["differences"] if line["field"] == "plan")
    assert (plan["ours"], plan["stripes"], plan["repaired"]) == ("free (version 1)", "starter (version 1)", False)

    repaired = command("stripe", "reconcile", "--customer", plan["customer"], "--why", "an event was lost")
    assert repaired.status == 0
    assert f"{plan['customer']}\tplan\tfree (version 1)\tstarter (version 1)" in repaired.out
    assert "1 compared, 1 differed and were repaired, 0 could not be compared" in repaired.out

    assert json.loads(command("stripe", "reconcile", "--json").out)["differences"] == []
    unknown = command("stripe", "reconcile", "--customer", "nobody")
    assert (unknown.status, "fix:" in unknown.err) == (1, True)


@pytest.mark.row("U9")
def test_one_customer_is_shown_beside_stripes_own_record(
    command: CommandLine, schema_url: str, sandbox: Running
) -> None:
    command("stripe", "trigger", "checkout.session.completed", "--url", "http://127.0.0.1:9", "--json")
    plan = json.loads(command("stripe", "reconcile", "--dry-run", "--json").out)["differences"][0]
    customer = plan["customer"]

    shown = command("stripe", "show", customer)
    assert shown.status == 0
    assert "plan\tfree (version 1)\tstarter (version 1)" in shown.out
    assert "9.00 USD a month" in shown.out
    assert json.loads(command("stripe", "reconcile", "--json").out)["run"]["different"] == 1
    document = json.loads(command("stripe", "show", customer, "--json").out)
    assert document["stripe"]["differences"] == []
    assert document["ours"]["subscription"]["id"] == document["stripe"]["subscriptions"][0]["id"]

    command.set(STRIPE_SECRET_KEY="")
    keyless = command("stripe", "show", customer)
    assert keyless.status == 1
    assert document["ours"]["subscription"]["id"] in keyless.out
    assert "STRIPE_SECRET_KEY is missing" in keyless.err
    assert "fix:" in keyless.err
