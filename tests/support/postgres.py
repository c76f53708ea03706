"""A PostgreSQL server for tests and benchmarks: started on a free port, durable, gone when its owner is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

GIVEN_URL_VARIABLE = "TOLLHOUSE_TEST_POSTGRES"
SUPERUSER = "tollhouse"
START_TIMEOUT_SECONDS = 60.0
REMOVAL_TIMEOUT_SECONDS = 600.0  # hundreds of databases on a busy disk
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "200"}
# Reads until its owner's end of the pipe closes, however the owner ended, then stops the server and removes its files.
REAPER = """
import os, pathlib, shutil, signal, sys, time
sys.stdin.buffer.read()
pid_file = pathlib.Path(sys.argv[1], "data", "postmaster.pid")
try:
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
    for _ in range(100):
        if not pid_file.exists():
            break
        time.sleep(0.05)
except (OSError, ValueError, IndexError):
    pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class PostgresMissing(RuntimeError):
    """No PostgreSQL server program was found on this machine."""


class Postgres:
    """A server on which tests make databases of their own; `url` needs the right to create them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made = 0

    def new_database(self, template: str | None = None) -> str:
        """Create a database and return its URL; a copy of `template` (name or URL, nobody connected) when given."""
        self._made += 1
        name = f"test_{os.getpid()}_{self._made}_{secrets.token_hex(3)}"
        copied = f' TEMPLATE "{_database_name(template)}"' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{copied}')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database made here, cutting connections that are still open."""
        self.execute(f'DROP DATABASE IF EXISTS "{_database_name(url)}" WITH (FORCE)')

    def execute(self, *statements: str, at: str | None = None) -> Any:
        """Run statements as the owner of the server, `at` a database's URL, else its first one; the last one's value.

        Callable with or without a running event loop.
        """
        answers: list[Any] = []
        failures: list[BaseException] = []

        async def run() -> None:
            connection = await asyncpg.connect(at or self.url)
            try:
                answers.extend([await connection.fetchval(statement) for statement in statements])
            finally:
                await connection.close()

        def in_own_loop() -> None:
            try:
                asyncio.run(run())
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=in_own_loop)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return answers[-1]


class PostgresServer(Postgres):
    """A server of our own, which may be stopped, killed and started again on the same port with the same data."""

    def __init__(self, directory: Path, owner: pwd.struct_passwd | None, settings: Mapping[str, str]) -> None:
        self.directory = directory
        self.binaries = find_binaries()
        self.port = 0
        self._owner = owner
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_urlsafe(18)
        self._initialise()
        self._start_on_a_free_port()
        super().__init__(f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/postgres")

    @property
    def log(self) -> str:
        """Everything the server has said so far."""
        return (self.directory / "log").read_text(errors="replace")

    def stop(self, immediate: bool = False) -> None:
        """Stop the server: in order, or `immediate` as after a crash (recovery at the next start)."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        self._process.wait(START_TIMEOUT_SECONDS)
        self._process = None

    def kill(self) -> None:
        """Kill every process of the server with SIGKILL, as a power cut would."""
        if self._process is None:
            return
        postmaster = self._process.pid
        self._process.send_signal(signal.SIGSTOP)
        backends = _children(postmaster)
        for pid in (postmaster, *backends):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(START_TIMEOUT_SECONDS)
        self._process = None
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while any(alive(pid) for pid in backends) and time.monotonic() < deadline:
            time.sleep(0.005)

    def restart(self) -> None:
        """Start again on the same port, stopping first if it still runs; returns when it accepts connections."""
        self.stop()
        if not self._start():
            raise RuntimeError(f"PostgreSQL did not start again on port {self.port}:\n{self.log[-2000:]}")

    def _initialise(self) -> None:
        if self._owner is not None:
            os.chown(self.directory, self._owner.pw_uid, self._owner.pw_gid)
        password_file = self.directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if self._owner is not None:
            os.chown(password_file, self._owner.pw_uid, self._owner.pw_gid)
        arguments = ["--pgdata=data", f"--username={SUPERUSER}", f"--pwfile={password_file}"]
        arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
        with self._popen("initdb", *arguments) as process:
            if process.wait(START_TIMEOUT_SECONDS) != 0:
                raise RuntimeError(f"initdb failed in {self.directory}:\n{self.log[-2000:]}")
        password_file.unlink()

    def _start_on_a_free_port(self) -> None:
        for _ in range(5):
            self.port = free_port()
            if self._start():
                return
        raise RuntimeError(f"PostgreSQL did not start on any of 5 free ports:\n{self.log[-2000:]}")

    def _start(self) -> bool:
        """Whether the server runs and accepts connections; its own status line in postmaster.pid says so."""
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        options += [f"--port={self.port}", "--listen_addresses=127.0.0.1", f"--unix_socket_directories={self._sockets}"]
        process = self._popen("postgres", "-D", "data", *options)
        status = self.directory / "data" / "postmaster.pid"
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                lines = status.read_text().splitlines()
                if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                    self._process = process
                    return True
            time.sleep(0.02)
        process.kill()
        process.wait()
        return False

    @property
    def _sockets(self) -> str:
        # A Unix socket's path has at most 107 bytes; without one TCP remains.
        return str(self.directory) if len(str(self.directory)) < 80 else ""

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        owner = self._owner
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self.binaries / program), *arguments],
                cwd=self.directory,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
            )


@contextlib.contextmanager
def running_postgres(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A fresh server with fsync on, for as long as the block lasts; `settings` are added to its command line."""
    owner = _unprivileged_owner()
    # Root's own TMPDIR may be closed to the user that the server runs as.
    directory = Path(tempfile.mkdtemp(prefix="tollhouse-pg-", dir="/tmp" if owner else None))
    reaper = subprocess.Popen(
        [sys.executable, "-c", REAPER, str(directory)], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
    )
    try:
        server = PostgresServer(directory, owner, {**DURABLE, **(settings or {})})
        try:
            yield server
        finally:
            server.stop(immediate=True)
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait(REMOVAL_TIMEOUT_SECONDS)


def find_binaries() -> Path:
    """The folder with initdb and postgres: from PATH, or Debian's versioned folders, newest first."""
    on_path = [Path(found).resolve().parent for name in ("initdb", "postgres") if (found := shutil.which(name))]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    for folder in (*on_path, *debian):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing(
        "The tests need a PostgreSQL server and found neither initdb in PATH nor /usr/lib/postgresql. "
        f"Install one (sudo apt-get install postgresql), or set {GIVEN_URL_VARIABLE}=postgresql://…"
    )


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one whose parent has not noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _unprivileged_owner() -> pwd.struct_passwd | None:
    """Whom to run the server as, since PostgreSQL refuses root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL refuses to run as root, and there is neither a user 'postgres' nor 'nobody'.")


def _database_name(name_or_url: str) -> str:
    return urlsplit(name_or_url).path.lstrip("/") if "://" in name_or_url else name_or_url


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The second field is the program's name in parentheses and may hold blanks.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found
