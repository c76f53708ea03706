"""The wheels, built once for all tests about packaging."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tree import ROOT

PIP_TIMEOUT_SECONDS = 300


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three wheels, built from the tree by what is locked."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, ROOT / "sdk", ROOT / "sandbox"):
        pip(sys.executable, "wheel", "--no-build-isolation", "--no-deps", f"--wheel-dir={folder}", str(project))
    return folder


def pip(python: str, *arguments: str) -> None:
    """Run pip of this Python; its whole output is in the failure."""
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
