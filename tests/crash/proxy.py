"""A TCP proxy before PostgreSQL that cuts a connection at the worst moment: on the bytes that a test names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from urllib.parse import urlsplit, urlunsplit


class Cut(Enum):
    """When the client's connection breaks, and what becomes of the bytes on which it breaks."""

    AFTER = "after they were forwarded"
    BEFORE = "and they are lost"
    EARLY = "and they are forwarded a moment later"


LATE_SECONDS = 0.5


class CuttingProxy:
    """Forwards everything until it is armed; each arming cuts one connection, once."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._armed: tuple[bytes, Cut] | None = None
        self.cuts = 0
        self.over = asyncio.Event()
        """Set when the cut has had all its consequences: late bytes have arrived and were answered."""

    def arm(self, mark: bytes, cut: Cut) -> None:
        """The next bytes from a client that contain `mark` cut its connection."""
        self._armed = (mark, cut)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        back = asyncio.create_task(_copy(server_reader, writer))
        with suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                cut = self._cut_on(data)
                if cut is None:
                    server_writer.write(data)
                    await server_writer.drain()
                    continue
                self.cuts += 1
                back.cancel()
                with suppress(asyncio.CancelledError):
                    await back
                if cut is Cut.AFTER:
                    server_writer.write(data)
                    await server_writer.drain()
                writer.transport.abort()
                if cut is Cut.EARLY:
                    await asyncio.sleep(LATE_SECONDS)
                    server_writer.write(data)
                    await server_reader.read(1)
                self.over.set()
                break
        back.cancel()
        server_writer.close()
        writer.close()

    def _cut_on(self, data: bytes) -> Cut | None:
        if self._armed is None or self._armed[0] not in data:
            return None
        cut = self._armed[1]
        self._armed = None
        return cut


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 20):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def cutting_proxy(database_url: str) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """A proxy and the URL of the database through it."""
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    proxy = CuttingProxy(parts.hostname, parts.port or 5432)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    credentials = parts.netloc.rpartition("@")[0]
    async with listening:
        # Without TLS: the proxy reads what it forwards.
        yield proxy, urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}", query="sslmode=disable"))
