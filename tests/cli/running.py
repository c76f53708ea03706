"""Runs the command line in this process, as a person or a machine would."""

import os
from pathlib import Path

import msgspec
import pytest

from tollhouse.cli import run


class Ran(msgspec.Struct, frozen=True):
    """What a command answered."""

    status: int
    out: str
    err: str


class CommandLine:
    """`tollhouse …` in a directory of its own and an environment that holds nothing else."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in list(os.environ):
            if name not in ("PATH", "HOME", "TMPDIR", "LANG"):
                monkeypatch.delenv(name)
        monkeypatch.chdir(directory)

    def set(self, **variables: str) -> None:
        """Environment variables of the commands that follow."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        status = run(list(arguments))
        said = self._capsys.readouterr()
        return Ran(status, said.out, said.err)
