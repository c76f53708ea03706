"""The demo's two processes: started with a log file, watched until they answer, stopped together."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tollhouse.cli.demo.home import note_process
from tollhouse.kernel.errors import Conflict, Unavailable

START_SECONDS = 60.0
STOP_SECONDS = 25.0
POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 12


class Child:
    """A process of ours. Its output is in `log`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    def require_alive(self) -> None:
        """Raises Unavailable, with the end of the log, when the process has ended."""
        if self._process.returncode is not None:
            raise self._ended()

    async def ended(self) -> Unavailable:
        """Waits until the process ends by itself, and says so."""
        await self._process.wait()
        return self._ended()

    def _ended(self) -> Unavailable:
        last = "\n".join(f"  {line}" for line in self.output().splitlines()[-LOG_LINES_SHOWN:])
        return Unavailable(
            f"{self.name} has ended with status {self._process.returncode}; the end of {self.log}:\n{last}",
            code="demo_process_ended", fix="correct what the log says, then start the demo again",
        )  # fmt: skip

    def output(self) -> str:
        """All that it has written in this run."""
        return self.log.read_text("utf-8", errors="replace")

    async def stop(self) -> None:
        """SIGTERM, and what has not drained in time is killed."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except (TimeoutError, asyncio.CancelledError):
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def running(
    name: str,
    module: str,
    arguments: Sequence[str],
    log: Path,
    *,
    lock: int,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """`python -m module arguments`, stopped at the end of the block. A Ctrl-C at the terminal does not reach it.

    It holds the demo's `lock` as well.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            env=None if environment is None else dict(environment), start_new_session=True, pass_fds=(lock,),
        )  # fmt: skip
    note_process(lock, process.pid)
    child = Child(name, process, log)
    try:
        yield child
    finally:
        await child.stop()


async def answering(http: aiohttp.ClientSession, child: Child, url: str) -> None:
    """Waits until `url` answers 200. Raises Unavailable when the process ends, or takes longer than a minute."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        child.require_alive()
        try:
            async with http.get(url) as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(POLL_SECONDS)
    raise Unavailable(
        f"{child.name} does not answer at {url}", code="demo_not_ready", fix=f"read {child.log}, then try again"
    )


def require_free(port: int, what: str, fix: str) -> None:
    """Raises Conflict `port_busy` when something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Conflict(f"port {port} is in use, and {what} needs it", code="port_busy", fix=fix) from None
