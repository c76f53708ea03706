"""`tollhouse serve` as a process of its own: started on a free port, killed, started again on the same port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.support.postgres import free_port
from tollhouse.customers import keys
from tollhouse.store import open_store

READY_SECONDS = 30.0
STOP_SECONDS = 20.0
SESSION_SECRET = "a-secret-for-tests-of-more-than-32-bytes"
# What these processes get of ours: nothing of the environment that could change what they do.
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG")


def make_secret_key(database_url: str) -> str:
    """A secret key of this database, as `tollhouse keys create` makes one. Call it outside any event loop."""

    async def make() -> str:
        store = await open_store(database_url)
        try:
            async with store.transaction() as tx:
                return (await keys.create_secret_key(tx, "tests", store.clock.now_ms())).key
        finally:
            await store.close()

    return asyncio.run(make())


class RunningServer:
    """One serving process. `url` stays the same over every restart."""

    def __init__(
        self, database_url: str, toml: str, directory: Path, *, secret_key: str, port: int, prelude: str, **environ: str
    ) -> None:
        self.database_url = database_url
        self.secret_key = secret_key
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._prelude = prelude
        self.directory = directory
        self.environ = {
            **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            "ENVIRONMENT": "test",
            "SESSION_SECRET": SESSION_SECRET,
            "DATABASE_URL": database_url,
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "tollhouse.toml").write_text(toml)

    @property
    def log(self) -> str:
        """Everything that the process, and those before it, have said."""
        return (self.directory / "serve.log").read_text(errors="replace")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def command(self, *words: str) -> list[str]:
        """`tollhouse …` for this installation; to be run in `directory` with `environ`."""
        program = f"{self._prelude}\nimport sys\nfrom tollhouse.cli import main\nsys.argv = ['tollhouse', *{words!r}]\nmain()\n"
        return [sys.executable, "-c", program]

    def start(self, *arguments: str) -> None:
        """Start the process and wait until it answers /health."""
        self.launch(*arguments)
        self.wait_until_ready()

    def launch(self, *arguments: str) -> None:
        """Start the process, without waiting."""
        with (self.directory / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command("serve", "--port", str(self.port), *arguments),
                cwd=self.directory,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Until /health answers 200. Raises RuntimeError with the log when the process ends or stays silent."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the server did not become ready on port {self.port}:\n{self.log[-4000:]}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL to the process and every worker of it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def stop(self) -> int:
        """SIGTERM, drained; the exit status."""
        process = self.process
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_SECONDS)
        self._process = None
        return status

    def restart(self) -> None:
        """After a kill: the same server again."""
        self.start()


@contextlib.contextmanager
def running_server(
    database_url: str, toml: str, directory: Path, *, secret_key: str | None = None, prelude: str = "", **environ: str
) -> Iterator[RunningServer]:
    """Serve this database for as long as the block lasts. `directory` holds its tollhouse.toml and its log.

    `prelude` is Python that runs in the process before anything else; `environ` is added to its environment.
    """
    directory.mkdir(parents=True, exist_ok=True)
    key = secret_key or make_secret_key(database_url)
    server = RunningServer(database_url, toml, directory, secret_key=key, port=free_port(), prelude=prelude, **environ)
    try:
        server.start()
        yield server
    finally:
        server.kill()
