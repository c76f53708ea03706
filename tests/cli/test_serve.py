"""`tollhouse serve` says that it listens, once, and what is set by halves."""

from __future__ import annotations

import json
import pickle
import socket
import time
from contextlib import ExitStack, suppress
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from tests.support.serving import RunningServer, running_server
from tollhouse import presets
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.serving import BACKLOG, SharedPort, check_port

AURION = (Path(presets.__file__).parent / "aurion.toml").read_text()


def ready_lines(server: RunningServer) -> int:
    return server.log.splitlines().count(f"ready http://127.0.0.1:{server.port}")


def wait_for(server: RunningServer, number: int) -> None:
    deadline = time.monotonic() + 30
    while ready_lines(server) < number:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)


def missing(server: RunningServer) -> dict[str, str]:
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return {line["setting"]: line["fix"] for line in lines if line["event"] == "setting.missing"}


def test_it_says_once_that_it_is_ready_and_what_is_missing(schema_url: str, tmp_path: Path) -> None:
    halves = {"STRIPE_SECRET_KEY": "sk_test_serve", "STRIPE_ALERT_EMAIL": "staff@aurion.app"}
    with running_server(schema_url, AURION, tmp_path, **halves) as server:
        wait_for(server, 1)
        told = missing(server)
        assert set(told) == {"STRIPE_WEBHOOK_SECRET", "SMTP_URL"}
        assert "set STRIPE_WEBHOOK_SECRET to the signing secret" in told["STRIPE_WEBHOOK_SECRET"]
        assert "set SMTP_URL" in told["SMTP_URL"]
        if schema_url.startswith("postgresql"):
            server.stop()
            server.start("--workers", "2")
            wait_for(server, 2)
            time.sleep(1)
            assert ready_lines(server) == 2


def test_what_is_whole_is_not_warned_of(schema_url: str, tmp_path: Path) -> None:
    whole = {
        "STRIPE_SECRET_KEY": "sk_test_serve", "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
        "STRIPE_ALERT_EMAIL": "staff@aurion.app", "SMTP_URL": "smtp://127.0.0.1:9",
    }  # fmt: skip
    with running_server(schema_url, AURION, tmp_path, **whole) as server:
        wait_for(server, 1)
        assert missing(server) == {}


def test_connections_are_spread_over_the_worker_processes() -> None:
    """One queue for all gives a burst of connections to whichever wakes first. Each worker unpickles its own."""
    with SharedPort.bound("127.0.0.1", 0) as reserved, ExitStack() as stack:
        address = reserved.getsockname()
        workers = [stack.enter_context(pickle.loads(ForkingPickler.dumps(reserved))) for _ in range(2)]
        for worker in workers:
            worker.listen(BACKLOG)
            worker.setblocking(False)
        for _ in range(100):
            stack.enter_context(socket.create_connection(address))
        shares = [accepted(worker, stack) for worker in workers]
        assert sum(shares) == 100
        assert min(shares) >= 20
        with pytest.raises(ConfigurationError, match="cannot listen"):
            check_port(*address)


def accepted(listening: socket.socket, stack: ExitStack) -> int:
    """How many connections wait here."""
    number = 0
    with suppress(BlockingIOError):
        while True:
            stack.enter_context(listening.accept()[0])
            number += 1
    return number
