"""`tollhouse selftest`: five passes on a true instance, and the right failure for each way in which one can be wrong."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import CommandLine
from tests.support.demo import Demo, running_demo
from tests.support.liar import Lie, lying


def statuses(tollhouse: CommandLine, demo: Demo, lie: Lie) -> dict[int, dict[str, Any]]:
    """The five outcomes, by number, against an instance that lies so."""
    with lying(demo.url, lie) as url:
        said = tollhouse("selftest", url, "--key", demo.secret_key, "--wait", "5s", "--json")
    assert said.status == 1, said.err
    return {test["number"]: test for test in json.loads(said.out)["tests"]}


@pytest.mark.row("A18")
def test_a_true_instance_passes_all_five(tollhouse: CommandLine, demo: Demo) -> None:
    """One line a test, what was seen on each, and exit status 0."""
    said = tollhouse("selftest", demo.url, "--key", demo.secret_key)
    lines = said.out.splitlines()
    assert said.status == 0, said.out
    assert [line.split()[:2] for line in lines[:5]] == [["pass", str(number)] for number in range(1, 6)]
    assert "on the page: plan free, credits: total 100, used 0" in lines[0]
    assert "launch_tool_app-builder took 50 credits" in lines[1]
    assert "credits_exhausted" in lines[2]
    assert "plan starter, credits: total 1000, used 0, plan_upgraded logged" in lines[3]
    assert "checkout.session.completed" in lines[4]
    assert lines[5].startswith("5 of 5 passed")


@pytest.mark.row("A18")
def test_a_catalogue_of_quotas_and_slots_is_tested_as_well(tollhouse: CommandLine, tmp_path: Path) -> None:
    """AI Gate counts sessions, one at a time: the tests end each session and stop at the quota."""
    with running_demo(tmp_path, "aigate") as gate:
        said = tollhouse("selftest", gate.url, "--key", gate.secret_key)
    assert said.status == 0, said.out
    assert "quota_exhausted" in said.out


def test_the_demo_in_this_folder_needs_no_key(tollhouse: CommandLine, demo: Demo) -> None:
    """Its demo.json knows the key, for its own address only."""
    (tollhouse.directory / ".demo").mkdir()
    shutil.copy(demo.folder.parent / "demo.json", tollhouse.directory / ".demo" / "demo.json")
    assert tollhouse("selftest", demo.url).status == 0
    other = tollhouse("selftest", "http://127.0.0.1:9")
    assert other.status == 1
    assert "no secret key was given" in other.err


def test_a_wrong_key_and_a_silent_address_are_told_apart(tollhouse: CommandLine, demo: Demo) -> None:
    """Neither is a failed test: nothing could be tried."""
    wrong = tollhouse("selftest", demo.url, "--key", "th_sk_wrong")
    assert wrong.status == 1
    assert "does not know this key" in wrong.err
    silent = tollhouse("selftest", "http://127.0.0.1:9", "--key", demo.secret_key)
    assert silent.status == 1
    assert "nothing answers at http://127.0.0.1:9" in silent.err


@pytest.mark.row("A18")
def test_in_production_nothing_is_bought(tollhouse: CommandLine, demo: Demo) -> None:
    """The first three pass; the purchase is refused and says why."""

    def production(path: str, status: int, told: Any) -> tuple[int, Any]:
        if path == "/health":
            told = {**told, "environment": "production"}
        assert path != "/billing/checkout"
        return status, told

    seen = statuses(tollhouse, demo, production)
    assert [seen[number]["status"] for number in range(1, 6)] == ["pass", "pass", "pass", "refused", "refused"]
    assert "test card" in seen[4]["seen"]


@pytest.mark.row("A18")
def test_a_sign_up_without_its_whole_grant_fails(tollhouse: CommandLine, demo: Demo) -> None:
    """90 credits instead of 100."""

    def short(path: str, status: int, told: Any) -> tuple[int, Any]:
        if path.startswith("/v1/customers") and "meters" in told:
            told["meters"]["credits"]["total"] = 90
        return status, told

    seen = statuses(tollhouse, demo, short)[1]
    assert seen["status"] == "fail"
    assert "total 90" in seen["seen"]
    assert seen["fix"]


@pytest.mark.row("A18")
def test_a_launch_that_is_not_in_the_book_fails(tollhouse: CommandLine, demo: Demo) -> None:
    """The debit is there, its entry is not."""

    def forgetful(path: str, status: int, told: Any) -> tuple[int, Any]:
        if path.endswith("/entries"):
            told["entries"] = [entry for entry in told["entries"] if entry["kind"] != "admission"]
        return status, told

    assert "the book has no launch_tool_app-builder" in statuses(tollhouse, demo, forgetful)[2]["seen"]


@pytest.mark.row("A18")
def test_a_launch_at_zero_that_is_allowed_fails(tollhouse: CommandLine, demo: Demo) -> None:
    """The instance lets a customer on who has nothing left."""

    def generous(path: str, status: int, told: Any) -> tuple[int, Any]:
        if path == "/api/validate-tool-access" and status == 403:
            return 200, {"allowed": True, "id": "adm_free", "replayed": False, "meters": {}}
        return status, told

    assert "was allowed with 0 left" in statuses(tollhouse, demo, generous)[3]["seen"]


@pytest.mark.row("A18")
@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("<dialog", "<iframe></iframe><dialog", "the tool's frame is in the page"),
        (" disabled>", ">", "the launch button of /app/tools/app-builder is not disabled"),
    ],
)
def test_a_page_that_stays_open_at_zero_fails(
    tollhouse: CommandLine, demo: Demo, before: str, after: str, says: str
) -> None:
    """The API refuses, but the page would let the user try."""

    def careless(path: str, status: int, told: Any) -> tuple[int, Any]:
        return status, told.replace(before, after) if path == "/app/tools/app-builder" else told

    assert says in statuses(tollhouse, demo, careless)[3]["seen"]


@pytest.mark.row("A18")
def test_a_forged_webhook_that_is_taken_fails(tollhouse: CommandLine, demo: Demo) -> None:
    """Whatever is not signed has to be refused."""

    def gullible(path: str, status: int, told: Any) -> tuple[int, Any]:
        return (200, {"received": True}) if path == "/webhooks/stripe" and status == 400 else (status, told)

    seen = statuses(tollhouse, demo, gullible)
    assert seen[4]["status"] == "pass"
    assert "an unsigned event 200 instead of 400" in seen[5]["seen"]


@pytest.mark.row("A18")
def test_a_payment_that_no_webhook_tells_of_fails(
    tollhouse: CommandLine, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card is charged and the plan stays free: webhooks do not arrive."""
    faults(demo, {"drop": "*"})
    try:
        seen = statuses(tollhouse, demo, lambda _, status, told: (status, told))
    finally:
        faults(demo, {"drop": 0})
    assert "the plan is free, not starter" in seen[4]["seen"]
    assert "STRIPE_WEBHOOK_SECRET" in seen[4]["fix"]
    assert seen[5]["status"] == "fail"


def faults(demo: Demo, given: dict[str, object]) -> None:
    """Sets the sandbox's faults."""
    request = urllib.request.Request(
        f"{demo.sandbox_url}/_sandbox/faults", json.dumps(given).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()
