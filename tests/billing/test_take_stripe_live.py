"""docs/how-to/take-stripe-live.md: its rehearsal is done as it stands there, and it names all that validate finds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.rehearsal import rehearsal, wait_for
from tests.support.tree import ROOT
from tollhouse.billing.account import HANDLED_EVENTS
from tollhouse.cli.stripe_validate import validate

PAGE = (ROOT / "docs" / "how-to" / "take-stripe-live.md").read_text("utf-8")
SOURCES = [ROOT / "src" / "tollhouse" / "billing" / name for name in ("validating.py", "validating_webhooks.py")]
GIVEN_BY_STRIPE = {"key_refused", "key_revoked", "key_lacks_permission", "stripe_unavailable", "stripe_rate_limited"}


def names_in_source() -> set[str]:
    """Every name that a finding is given: literals, and those of the errors that the gateway raises."""
    found = set(GIVEN_BY_STRIPE)
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("failed", "warning"):
                found |= set(re.findall(r"'([a-z_0-9]+)'", ast.unparse(node.args[1])))
            if isinstance(node, ast.Assign | ast.AnnAssign) and "code" in ast.unparse(node).split(" ")[0]:
                found |= set(re.findall(r"'([a-z]+_[a-z_]+)'", ast.unparse(node.value) if node.value else ""))
    return found - {"stripe_"}


def test_the_page_names_all_that_validate_finds_and_no_more() -> None:
    table = PAGE.split("## What validate finds")[1]
    told = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([a-z_0-9]+)`", line.split("|")[1])
    }
    assert told == names_in_source()
    assert validate.__doc__


def test_the_page_about_selling_names_every_event_that_an_endpoint_asks_for() -> None:
    page = (ROOT / "docs" / "how-to" / "sell-with-stripe.md").read_text("utf-8")
    listed = page.split("with these events:")[1].split("`STRIPE_WEBHOOK_PATHS`")[0]
    assert set(re.findall(r"`([a-z_.]+)`", listed)) == set(HANDLED_EVENTS)


@pytest.mark.row("U2", "U3", "S13")
def test_the_rehearsal_leads_to_a_validated_live_mode(tmp_path: Path) -> None:
    with rehearsal(tmp_path) as live:
        plan, export = live.furnish.splitlines()
        terminal = live.environment.splitlines()[-2] + "\n"
        assert live.run(terminal + plan).returncode == 2
        made = live.run(terminal + export)
        assert made.returncode == 0, made.stderr
        live.launch(live.serve)
        wait_for(f"{live.url}/health")
        checked = live.run(live.check)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert checked.stdout.splitlines()[-1].endswith("passed")
        broken = live.run(live.check.replace("tollhouse", "unset STRIPE_WEBHOOK_SECRET; tollhouse"))
        assert (broken.returncode, "webhook_secret_missing" in broken.stdout) == (1, True)
        assert live.run(terminal + plan).returncode == 0
