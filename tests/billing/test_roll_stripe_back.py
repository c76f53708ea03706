"""docs/how-to/roll-stripe-back.md: every command on it is run as it stands there, and it names every step and option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.billing.shop import Shop
from tests.support.tree import ROOT
from tollhouse.billing.rollback import EVENTS, FORWARD

PAGE = (ROOT / "docs" / "how-to" / "roll-stripe-back.md").read_text("utf-8")


def blocks(heading: str) -> list[str]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def run(shop: Shop, script: str) -> str:
    """What it says, in a shell that stops at the first command that fails."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-e", "-c", script], cwd=shop.command.directory, env=environ, capture_output=True, text=True, timeout=120,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.row("U10", "U11")
@pytest.mark.timeout(240)
def test_the_commands_of_the_page_do_what_it_says(served: Shop) -> None:
    look, do, undo = blocks("Drill it")
    assert "maintenance\tpause new subscriptions for 60 minutes" in run(served, look)
    done = run(served, do)
    assert "webhook endpoints disabled: we_" in done
    assert "state backed up: " in done
    assert "on until" in done
    assert "was disabled by the roll-back rbk_" in done
    undone = run(served, undo)
    assert "enabled again" in undone
    assert "\ncomplete\n" in undone
    assert "off: everything is sold" in undone

    (only,) = blocks("Only pause new subscriptions")
    assert re.search(
        r"paused until .*\non until .*moving the database\n(.*\n)*new subscriptions are open again\n$",
        run(served, only),
    )
    (only,) = blocks("Only hold events back")
    assert run(served, only).endswith("complete\n")


def test_the_page_names_every_step_and_option() -> None:
    table = PAGE.split("## What it does")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE) == [*FORWARD, EVENTS]
    command = (ROOT / "src" / "tollhouse" / "cli" / "stripe_rollback.py").read_text("utf-8")
    options = set(re.findall(r'"(--[a-z-]+)"', command)) | {"--backup-to"}
    assert {option for option in options if f"`{option}`" not in PAGE and f"{option} " not in PAGE} == set()
