"""What is published works where nothing else is: wheels in an empty environment, from locked packages."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packaging.conftest import pip
from tests.support.postgres import free_port
from tests.support.tree import ROOT

COMMAND_TIMEOUT_SECONDS = 60
START_TIMEOUT_SECONDS = 30.0

pytestmark = pytest.mark.timeout(600)


class Installation:
    """An environment with the server's wheel in it, and an empty folder to work in."""

    def __init__(self, environment: Path, wheels: Path, folder: Path) -> None:
        self.environment = environment
        self.wheels = wheels
        self.folder = folder
        self.variables = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "SESSION_SECRET": "a-secret-of-these-tests-only-0123456789",
        }

    def command(self, *arguments: str) -> list[str]:
        """The command line of an installed program."""
        return [str(self.environment / "bin" / arguments[0]), *arguments[1:]]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an installed program to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )

    @contextmanager
    def serving(self) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """`tollhouse serve` on a free port, with its address; killed at the end if it still runs."""
        port = free_port()
        process = subprocess.Popen(
            self.command("tollhouse", "serve"),
            cwd=self.folder,
            env={**self.variables, "PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An empty environment into which only run.txt and the server's wheel went."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=True)
    _install(environment, "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / "run.txt"))
    _install(environment, "--no-deps", str(next(wheels.glob("tollhouse-*.whl"))))
    return Installation(environment, wheels, tmp_path_factory.mktemp("work"))


def test_the_locked_packages_are_all_that_the_server_asks_for(installed: Installation) -> None:
    checked = installed.run("python", "-m", "pip", "check")
    assert checked.returncode == 0, checked.stdout


def test_the_command_tells_what_it_can_do(installed: Installation) -> None:
    told = installed.run("tollhouse", "--help")
    assert told.returncode == 0, told.stderr
    for command in ("init", "serve", "db", "plans", "keys", "verify", "selftest"):
        assert re.search(rf"\b{command}\b", told.stdout), f"--help does not name {command}"


def test_a_new_installation_serves_after_init_and_upgrade_and_drains_on_sigterm(installed: Installation) -> None:
    made = installed.run("tollhouse", "init", "--preset", "aurion")
    assert made.returncode == 0, made.stdout + made.stderr
    assert (installed.folder / "tollhouse.toml").exists()

    with installed.serving() as (_, process):
        refused, _ = process.communicate(timeout=START_TIMEOUT_SECONDS)
        assert process.returncode != 0
        assert "db upgrade" in refused, "serve on an empty database has to name the command that makes its tables"

    upgraded = installed.run("tollhouse", "db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr

    with installed.serving() as (address, process):
        assert '"status"' in _answer(f"{address}/health", process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_TIMEOUT_SECONDS)
        assert process.returncode == 0


def test_the_demo_extra_brings_the_sandbox(installed: Installation) -> None:
    _install(installed.environment, "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / "demo.txt"))
    _install(installed.environment, "--no-index", f"--find-links={installed.wheels}", "tollhouse[demo]")
    told = installed.run("tollhouse-sandbox", "--help")
    assert told.returncode == 0, told.stderr


def test_the_client_is_published_without_the_server(wheels: Path) -> None:
    wheel = next(wheels.glob("tollhouse_sdk-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    assert "tollhouse_sdk" in folders
    assert "tollhouse" not in folders


def _install(environment: Path, *arguments: str) -> None:
    pip(str(environment / "bin" / "python"), "install", *arguments)


def _answer(url: str, process: subprocess.Popen[str]) -> str:
    """The body behind the address, as soon as the process answers there."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                return str(response.read(), "utf-8")
        except urllib.error.HTTPError as error:
            return f"{error.code}: {error.read()!r}"
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer; the process said:\n{process.communicate(timeout=5)[0]}")
