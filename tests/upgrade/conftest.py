"""The command line, for an installation that has a past."""

from pathlib import Path

import pytest

from tests.cli.running import CommandLine


@pytest.fixture
def tollhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """`tollhouse("db", "upgrade")` runs that command and answers its status and words."""
    return CommandLine(tmp_path, monkeypatch, capsys)
