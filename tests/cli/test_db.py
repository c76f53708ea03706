"""`tollhouse db` and `serve`: what they say when all is well, and when the database or the port is not to be had."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import CommandLine


def apart(directory: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own: `serve` sets up logging for good, and imports tell what it needs."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), **variables}
    command = [sys.executable, "-m", "tollhouse", *words]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def ready(tollhouse: CommandLine) -> CommandLine:
    assert tollhouse("init", "--preset", "aurion", "--with-secrets").status == 0
    return tollhouse


def test_upgraded_the_schema_is_as_the_code_says(ready: CommandLine) -> None:
    assert ready("db", "upgrade").status == 0
    assert "up to date" in ready("db", "upgrade").out
    found = subprocess.run(
        [sys.executable, "-m", "tollhouse", "db", "check"],
        cwd=ready.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout.strip()) == (0, "the schema is as the code says"), found.stderr


@pytest.mark.parametrize(
    ("url", "setting"),
    [("postgresql://u:p@127.0.0.1:9/x", "PostgreSQL runs"), ("sqlite:////no/such/folder/x.db", "folder that exists")],
)
@pytest.mark.parametrize("words", [("db", "upgrade"), ("db", "current"), ("serve",)])
@pytest.mark.row("S23")
def test_a_database_that_is_not_there_is_named_with_its_fix(
    ready: CommandLine, words: tuple[str, ...], url: str, setting: str
) -> None:
    said = apart(ready.directory, *words, DATABASE_URL=url)
    assert said.returncode == 1
    assert setting in said.stderr
    assert "should not happen" not in said.stderr


@pytest.mark.row("S23")
def test_a_file_that_is_no_database_is_told(ready: CommandLine) -> None:
    (ready.directory / "letter.db").write_text("Dear database, " * 100)
    ready.set(DATABASE_URL=f"sqlite:///{ready.directory / 'letter.db'}")
    said = ready("db", "upgrade")
    assert said.status == 1
    assert "not a database" in said.err


@pytest.mark.row("S23")
def test_a_port_that_is_taken_is_told_before_anything_starts(ready: CommandLine) -> None:
    assert ready("db", "upgrade").status == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = apart(ready.directory, "serve", "--port", str(taken.getsockname()[1]))
    assert said.returncode == 1
    assert said.stdout == ""  # what listens there is another's: nothing is ready
    assert "choose another with --port" in said.stderr
