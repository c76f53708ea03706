"""The whole product with its sandbox, as `make demo` starts it, on free ports and in a fresh folder."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

STOP_SECONDS = 30


class Account(msgspec.Struct, frozen=True):
    """Somebody who can sign in; `customer` for the demo's user."""

    email: str
    password: str
    customer: str = ""


class Demo(msgspec.Struct, frozen=True):
    """What demo.json says, and where the data are."""

    url: str
    sandbox_url: str
    secret_key: str
    project_key: str
    admin: Account
    user: Account
    folder: Path


def two_free_ports() -> int:
    """A port that is free, as is the next one."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        if _free(port) and _free(port + 1):
            return port
    raise RuntimeError("no two free ports beside each other")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def running_demo(folder: Path, preset: str = "aurion", port: int | None = None) -> Iterator[Demo]:
    """`tollhouse demo` in a process of its own until the block ends; with the same folder it goes on with its data."""
    chosen = two_free_ports() if port is None else port
    command = [
        sys.executable,
        "-m",
        "tollhouse",
        "demo",
        "--preset",
        preset,
        "--dir",
        str(folder),
        "--port",
        str(chosen),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    progress = folder / "progress.txt"
    with progress.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # the end of the output too ends the wait
        if line != f"ready http://127.0.0.1:{chosen}\n":
            raise AssertionError(f"the demo said {line!r} instead of ready:\n{progress.read_text()}")
        told = json.loads((folder / "demo.json").read_text())
        yield msgspec.convert({**told, "folder": str(folder / preset)}, Demo, strict=False, dec_hook=_path)
    finally:
        process.terminate()
        status = process.wait(STOP_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
    assert status == 0, f"the demo ended with {status}:\n{progress.read_text()}"


def _path(kind: type, value: object) -> object:
    return kind(value)
