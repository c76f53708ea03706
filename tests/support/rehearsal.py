"""The rehearsal of docs/how-to/take-stripe-live.md: its commands as they stand there, on free ports, in a fresh folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import free_port
from tests.support.tree import ROOT

HOW_TO = ROOT / "docs" / "how-to"
Process = subprocess.Popen[str]


def commands(page: str) -> list[str]:
    """The fenced commands of a page's rehearsal, without their indentation."""
    section = (HOW_TO / page).read_text("utf-8").split("## Rehearse it")[1].split("\n## ")[0]
    return [re.sub(r"(?m)^ {3}", "", block) for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


class Rehearsal:
    """A folder with the product, and terminals in it. What is started here ends with the block of `rehearsal`."""

    def __init__(self, folder: Path) -> None:
        self.product = folder / "my-product"
        self._folder = folder
        self._ports = {"8787": free_port(), "8788": free_port(), "8789": free_port()}
        self._running: list[Process] = []
        self.url = f"http://127.0.0.1:{self._ports['8787']}"
        self.sandbox = f"http://127.0.0.1:{self._ports['8788']}"
        blocks = commands("take-stripe-live.md")
        self.sandbox_command, self.init, self.environment, self.furnish, self.serve, self.check = blocks

    def begin(self) -> None:
        """The product's folder with its environment and database, and the sandbox."""
        assert self.run(self.init, self._folder).returncode == 0
        self.launch(self.sandbox_command, self._folder)
        wait_for(f"{self.sandbox}/_sandbox/clock")
        made = self.run(self.environment, self._folder)
        assert made.returncode == 0, made.stderr

    def run(self, script: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The commands in a terminal of their own, until they end."""
        return subprocess.run(
            ["bash", "-c", self._here(script)], cwd=where or self.product, env=self._environ(), capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    def launch(self, script: str, where: Path | None = None) -> Process:
        """Commands of which the last goes on."""
        process = subprocess.Popen(
            ["bash", "-c", self._here(script)], cwd=where or self.product, env=self._environ(), text=True,
            start_new_session=True,
        )  # fmt: skip
        self._running.append(process)
        return process

    def stop(self, process: Process, number: int = signal.SIGINT) -> None:
        """Ctrl-C in that terminal."""
        self._running.remove(process)
        os.killpg(process.pid, number)
        process.wait(30)

    def end(self) -> None:
        """Everything that is still running."""
        for process in list(self._running):
            self.stop(process, signal.SIGKILL)

    def _here(self, script: str) -> str:
        for written, port in self._ports.items():
            script = script.replace(written, str(port))
        return script

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self._folder),
            "PORT": str(self._ports["8787"]), "TOLLHOUSE_URL": self.url,
        }  # fmt: skip


@contextmanager
def rehearsal(folder: Path) -> Iterator[Rehearsal]:
    """The product and the sandbox, as the page begins; nothing is set up at Stripe yet."""
    found = Rehearsal(folder)
    try:
        found.begin()
        yield found
    finally:
        found.end()


def wait_for(url: str) -> None:
    """Until that address answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
