"""The official Stripe CLI, at one version, installed from npm and run against a sandbox."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.tree import ROOT

VERSION = "1.52.0"
# The one reason for which a test may be skipped in continuous integration too (tests/conftest.py).
NO_NODE = "there is no Node.js with npm on this machine, so the official Stripe CLI was NOT tried"
INSTALL_SECONDS = 300
TRIGGER_SECONDS = 60
KEY = "sk_test_official_cli"
EVENTS = (
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "setup_intent.succeeded",
)


class StripeCli:
    """The installed program, with a home of its own."""

    def __init__(self, program: Path, home: Path) -> None:
        self._program = program
        self._home = home

    def trigger(self, event: str, sandbox_url: str) -> None:
        """`stripe trigger EVENT` at the sandbox; what it said is in the failure when it does not succeed."""
        command = [str(self._program), "trigger", event, "--api-base", sandbox_url, "--api-key", KEY]
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            # It asks for its newest version before each trigger: this way it learns nothing, at once.
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }
        run = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=TRIGGER_SECONDS, check=False, cwd=self._home
        )
        said = run.stdout + run.stderr
        assert run.returncode == 0, said
        assert "Trigger succeeded!" in said


def installed_stripe_cli(home: Path) -> StripeCli:
    """The CLI, installed on the first call. Skips the test where there is no Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip(NO_NODE)
    folder = ROOT / ".venv" / "stripe-cli" / VERSION
    program = folder / "node_modules" / ".bin" / "stripe"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # test processes run beside each other: one installs, the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _install(folder)
    return StripeCli(program, home)


def _install(folder: Path) -> None:
    # The program comes inside a package of its own for each platform; the install script only looks for that.
    quiet = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command = ["npm", "install", "--prefer-offline", "--prefix", str(folder), *quiet, f"@stripe/cli@{VERSION}"]
    install = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    assert install.returncode == 0, install.stdout + install.stderr
