"""The command line as a fixture."""

from pathlib import Path

import pytest

from tests.cli.running import CommandLine


@pytest.fixture
def tollhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """`tollhouse("plans", "--json")` runs that command and answers its status and words."""
    return CommandLine(tmp_path, monkeypatch, capsys)
