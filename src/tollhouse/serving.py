"""The server's process: an ASGI application that builds its house at start-up, works in the background, and drains."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from litestar.types import Receive, Send
from uvicorn.supervisors import Multiprocess

from tollhouse.api.deciding import hot_handlers
from tollhouse.api.direct import direct_ways
from tollhouse.api.webhooks import webhook_handlers
from tollhouse.bootstrap import build_application, housekeeping, open_house
from tollhouse.catalog.load import Configuration, load_configuration
from tollhouse.house import House
from tollhouse.http_protocol import STATE, Heads, OneWriteProtocol
from tollhouse.kernel.errors import ConfigurationError, TollhouseError
from tollhouse.settings import Settings
from tollhouse.settings.logs import configure_logging
from tollhouse.store import revision
from tollhouse.worker import jobs_of
from tollhouse.worker.jobs import run_jobs

CONFIG_VARIABLE = "TOLLHOUSE_CONFIG"
WORKERS_VARIABLE = "TOLLHOUSE_WORKERS"  # so that a worker process knows how many there are
GARBAGE_THRESHOLD = 50_000
BACKLOG = 2048
PROXIES = "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""Whose X-Forwarded-For is believed with AUTH_TRUST_HOST: a proxy on this machine or in a private network, nobody else."""

log = structlog.get_logger(__name__)


class SharedPort(socket.socket):
    """A port on which each process listens for itself, so that the kernel spreads connections over them evenly.

    One socket for all would give a burst of connections to the process that wakes first: with 64 kept connections, all of
    the work. The one that the parent holds only keeps the port; pickled into a worker, it is bound there anew.
    """

    @classmethod
    def bound(cls, host: str, port: int) -> "SharedPort":
        """Bound, not listening yet. Raises OSError where the port is taken."""
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = cls(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind(address)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedPort.bound, self.getsockname()[:2]


class Server:
    """One process's ASGI application. The house is opened at the lifespan's start and drained at its end."""

    def __init__(self, configuration: Configuration, *, with_worker: bool = True) -> None:
        self._configuration = configuration
        self._with_worker = with_worker
        self._application: Any = None
        self._hot: dict[str, Any] = {}
        self._stack = AsyncExitStack()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        hot = self._hot.get(scope["path"]) if scope["type"] == "http" else None
        if hot is not None and scope["method"] == "POST":
            await hot(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def start(self) -> House:
        """Open the house and begin the background work."""
        house = await self._stack.enter_async_context(open_house(self._configuration))
        self._application = build_application(house)
        # Browsers of other origins have no business here, so the hot path needs nothing of the framework's.
        self._hot = hot_handlers(house) | webhook_handlers(house)
        jobs = [*housekeeping(house), *(jobs_of(house) if self._with_worker else [])]
        stopping = asyncio.Event()
        task = asyncio.create_task(run_jobs(jobs, stopping), name="tollhouse-background")

        async def drain() -> None:
            stopping.set()
            await task

        self._stack.push_async_callback(drain)
        calm_collector()
        # Needed by the first page and the first event, and by no answer before: the start does not wait for them.
        asyncio.get_running_loop().run_in_executor(None, load, ("jinja2", *(("stripe",) if house.stripe else ())))
        return house

    async def stop(self) -> None:
        """Answer who waits, finish the rounds that run, give everything back."""
        await self._stack.aclose()

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            house = await self.start()
            scope["state"][STATE] = Heads(direct_ways(house))
        except Exception as error:
            await self.stop()
            message = str(error) if isinstance(error, TollhouseError) else repr(error)
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


def load(modules: Iterable[str]) -> None:
    """Import these."""
    for name in modules:
        import_module(name)


def calm_collector() -> None:
    """What was built lives as long as the process: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def create_server() -> Server:
    """For uvicorn's worker processes: the configuration is read again in each."""
    path = Path(os.environ.get(CONFIG_VARIABLE, "tollhouse.toml"))
    configuration = load_configuration(path, os.environ, dotenv=path.parent / ".env")
    configure_logging(configuration.settings)
    return Server(configuration)


def check_schema(settings: Settings) -> None:
    """Raises ConfigurationError for a database whose schema this version does not know."""
    revision.require_known(revision.status(settings.database_url.reveal()))


def check_port(host: str, port: int) -> None:
    """Raises ConfigurationError when nothing can listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", code="port_busy", setting="PORT",
            fix="stop what listens there, or choose another with --port",
        ) from None  # fmt: skip


def serve(configuration: Configuration, path: Path, *, host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, then drain; what `check_schema` and `check_port` look at is in order."""
    os.environ[CONFIG_VARIABLE] = str(path)
    os.environ[WORKERS_VARIABLE] = str(workers)
    # The server drains and then sends itself the same signal again: having drained is a good end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "loop": "uvloop",
        "http": OneWriteProtocol,
        "lifespan": "on",
        "access_log": False,
        "log_level": "warning",
        "log_config": None,
        "server_header": False,
        "date_header": True,
        "backlog": BACKLOG,
        "proxy_headers": configuration.settings.web.trust_host,
        "forwarded_allow_ips": PROXIES if configuration.settings.web.trust_host else None,
        "timeout_graceful_shutdown": configuration.settings.server.graceful_seconds,
    }
    if workers == 1:
        uvicorn.run(Server(configuration), **options)
        return
    config = uvicorn.Config("tollhouse.serving:create_server", factory=True, workers=workers, **options)
    Multiprocess(config, [SharedPort.bound(host, port) if sys.platform == "linux" else config.bind_socket()]).run()
