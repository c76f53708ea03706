"""docs/how-to/take-stripe-live.md: its rehearsal is done as it stands there, and it names all that validate finds."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.postgres import free_port
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


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.row("U2", "U3", "S13")
def test_the_rehearsal_leads_to_a_validated_live_mode(tmp_path: Path) -> None:
    section = PAGE.split("## Rehearse it")[1].split("\n## ")[0]
    start, environment, furnish, serve, check = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    init, sandbox = start.splitlines()
    sandbox_port, port = free_port(), free_port()
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "PORT": str(port),
        "TOLLHOUSE_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    environment = environment.replace("8788", str(sandbox_port))
    running = []

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
        )

    def launch(script: str) -> None:
        running.append(subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=environ, start_new_session=True))

    try:
        assert run(init).returncode == 0
        launch(sandbox.replace("8788", str(sandbox_port)))
        wait_for(f"http://127.0.0.1:{sandbox_port}/_sandbox/clock")
        # Each terminal has the same environment: also the same secret, which openssl would make anew.
        environment = environment.replace("$(openssl rand -base64 48)", "r" * 20 + "ehearsal-of-more-than-32-bytes")
        made = run(environment + furnish)
        assert made.returncode == 0, made.stderr
        there = environment.replace("tollhouse db upgrade\n", "") + "set -a; . ./live.env; set +a\n"
        launch(there + "exec " + serve)
        wait_for(f"http://127.0.0.1:{port}/health")
        checked = run(there + check)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert checked.stdout.splitlines()[-1].endswith("passed")
        broken = run(there + "unset STRIPE_WEBHOOK_SECRET\n" + check)
        assert (broken.returncode, "webhook_secret_missing" in broken.stdout) == (1, True)
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
