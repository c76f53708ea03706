"""How the tests themselves run: what would hide a failure is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stripe_cli import NO_NODE
from tests.support.tree import ROOT

SKIPPING_TEST = """
import pytest

def test_that_gives_up():
    pytest.skip("no database here")
"""
SKIPPING_MODULE = """
import pytest

pytest.skip("no browser here", allow_module_level=True)
"""


@pytest.mark.parametrize(("source", "reason"), [(SKIPPING_TEST, "no database"), (SKIPPING_MODULE, "no browser")])
def test_a_skip_fails_the_run_in_continuous_integration(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "test_skipping.py").write_text(source)
    watched = _pytest(tmp_path, CI="true")
    assert watched.returncode != 0
    assert reason in watched.stdout
    assert "Nothing may be skipped here" in watched.stdout


def test_only_what_needs_node_may_be_skipped_in_continuous_integration_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING_TEST.replace("no database here", NO_NODE))
    run = _pytest(tmp_path, CI="true")
    assert run.returncode == 0
    assert f"SKIPPED [1] test_skipping.py:5: {NO_NODE}" in run.stdout


def test_a_skip_is_named_in_the_summary_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING_TEST)
    run = _pytest(tmp_path, CI="")
    assert run.returncode == 0
    assert "SKIPPED [1] test_skipping.py:5: no database here" in run.stdout


def test_a_run_without_tests_is_not_a_success(tmp_path: Path) -> None:
    assert _pytest(tmp_path, CI="true").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def _pytest(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
    ]
    return subprocess.run(
        [*command, "-c", os.devnull, "."],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
