"""Starting and stopping a sandbox."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import msgspec
import uvicorn

from tollhouse_sandbox.app import App, keep_time
from tollhouse_sandbox.billing import agenda
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.http import Receive, Scope, Send
from tollhouse_sandbox.mail import start_mail
from tollhouse_sandbox.world import World

_T = TypeVar("_T")


class Running(msgspec.Struct, frozen=True):
    """A sandbox that answers."""

    url: str
    smtp_port: int | None
    app_state: World
    """Belongs to the sandbox's own loop: read it from elsewhere only while nothing else happens."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to whoever started the sandbox."""
        yield


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Running]:
    """A sandbox inside the running event loop, until the block ends."""
    sock = _listen(config.host, config.port)
    url = config.public_url or f"http://{config.host}:{sock.getsockname()[1]}"
    world = World(config)
    world.base_url = url.rstrip("/")
    agenda.rebuild(world)
    await world.deliveries.start()
    mail = await start_mail(world, config.host, config.smtp_port) if config.smtp_port is not None else None
    settings = uvicorn.Config(
        App(world), lifespan="off", log_level="warning", access_log=False, server_header=False, date_header=False,
        timeout_keep_alive=30,
    )  # fmt: skip
    server = _Server(settings)
    tasks = [asyncio.create_task(server.serve(sockets=[sock])), asyncio.create_task(keep_time(world))]
    try:
        while not server.started:
            if tasks[0].done():
                tasks[0].result()
                raise RuntimeError(f"the sandbox could not start on {url}")
            await asyncio.sleep(0.005)
        yield Running(world.base_url, mail.port if mail else None, world)
    finally:
        await _stop(server, tasks[0])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if mail:
            await mail.stop()
        await world.deliveries.stop()
        world.store.close()
        sock.close()


async def _stop(server: _Server, task: "asyncio.Task[None]") -> None:
    """Hangs up. Where nobody waits for an answer that is at once, without uvicorn's pauses."""
    server.should_exit = True
    server.force_exit = True
    if server.server_state.tasks or not server.started:
        await asyncio.wait({task}, timeout=5)
        return
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    await asyncio.sleep(0)


def run_fast(work: Coroutine[None, None, _T]) -> _T:
    """As `asyncio.run`, on the fastest event loop that is installed."""
    with asyncio.Runner(loop_factory=uvicorn.Config(_unused).get_loop_factory()) as runner:
        return runner.run(work)


async def _unused(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where uvicorn's settings want an application."""


@contextmanager
def running_in_thread(config: Config) -> Iterator[Running]:
    """A sandbox in a thread of its own, until the block ends: blocking clients may call it."""
    started: list[Running | BaseException] = []
    ready, stop = threading.Event(), threading.Event()

    async def live() -> None:
        async with serving(config) as sandbox:
            started.append(sandbox)
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, stop.wait)

    def run() -> None:
        try:
            run_fast(live())
        except BaseException as problem:
            started.append(problem)
            ready.set()

    thread = threading.Thread(target=run, name="tollhouse-sandbox", daemon=True)
    thread.start()
    ready.wait()
    if isinstance(started[0], BaseException):
        raise started[0]
    try:
        yield started[0]
    finally:
        stop.set()
        thread.join(10)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """As `running_in_thread`, for asynchronous callers; nothing that blocks their loop blocks the sandbox."""
    block = running_in_thread(config)
    sandbox = await asyncio.to_thread(block.__enter__)
    try:
        yield sandbox
    finally:
        await asyncio.to_thread(block.__exit__, None, None, None)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, because event loops switch off Nagle's algorithm only then; with it every answer waits 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise OSError(
            error.errno,
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port with --port, or 0 for any free one",
        ) from None
    sock.listen(512)
    sock.setblocking(False)
    return sock
