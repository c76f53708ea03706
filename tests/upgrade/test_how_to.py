"""docs/how-to/move-customers-to-another-pricing.md: its rehearsal is done as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.support.tree import ROOT
from tollhouse.billing.moves import why_it_stays
from tollhouse.cli import migrate_pricing
from tollhouse.cli.migrate import register

PAGE = (ROOT / "docs" / "how-to" / "move-customers-to-another-pricing.md").read_text("utf-8")
REHEARSAL = PAGE.split("## Rehearse it")[1].split("\n## ")[0]


def run(directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(directory)}
    return subprocess.run(
        ["bash", "-c", script], cwd=directory, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.row("S12", "S18")
def test_the_rehearsal_leads_from_the_old_tables_to_customers_who_are_told(tmp_path: Path) -> None:
    begin, bring, move = re.findall(r"```sh\n(.*?)```", REHEARSAL, re.DOTALL)
    (plans,) = re.findall(r"```toml\n(.*?)```", REHEARSAL, re.DOTALL)
    begun = run(tmp_path, f"set -e -o pipefail\n{begin}")
    assert begun.returncode == 0, begun.stderr
    there = tmp_path / "moving"
    with (there / "tollhouse.toml").open("a") as file:
        file.write("\n" + plans)
    brought = run(there, "export DATABASE_URL=sqlite:///old.db\n" + bring)
    assert brought.returncode == 1  # two of the ten, as the page says
    assert "kept users, which was here before, as legacy_users" in brought.stdout
    assert "8 brought over, 2 could not be" in brought.stdout
    moved = run(there, "set -e\nexport DATABASE_URL=sqlite:///old.db\n" + move)
    assert moved.returncode == 0, moved.stderr
    before, after = moved.stdout.split("2 told by e-mail")
    assert "pro@1\tstarter@1\t2\t0\t0" in before
    assert "pro@1\tstarter@1\t2\t2\t0" in after


def test_the_page_names_every_option_of_the_move() -> None:
    app = typer.Typer()
    register(app)
    command = typer.main.get_command(app).commands["migrate"].commands["pricing"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    named = set(re.findall(r"--[a-z-]+", PAGE))
    assert options - named <= {"--config"}
    assert f"{migrate_pricing.CALLS_PER_SECOND:.0f} a second" in PAGE
    assert why_it_stays.__doc__
