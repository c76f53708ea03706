"""uvicorn's protocol with two short cuts for the hot path (docs/decisions/0012).

One write per answer: uvicorn writes head and body apart, which costs a system call more for each request. The parts of an
answer are handed on together at the end of the event loop's round.

Known heads: a client on a kept connection sends the same request line and header fields again and again. What one head
means was found by uvicorn's parser the first time; when the same bytes come again with a whole body, the request is
answered directly (`api/direct.py`). Everything else goes through the parser and the application as ever.
"""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tollhouse.api.direct import Direct

STATE = "tollhouse.heads"
"""Under which the application hands its `Heads` to the protocol, in the lifespan's state."""

MOST_HEADS = 1_024
LONGEST_HEAD = 4_096
END = b"\r\n\r\n"


class Head(msgspec.Struct, frozen=True):
    """What a head says: who calls (the digest of its key), how long the body is, and who answers."""

    direct: Direct
    key_digest: bytes
    idempotency_key: str | None
    body_length: int


class Heads:
    """The heads that were seen lately, of one process. When there are too many it begins anew."""

    def __init__(self, direct: Mapping[bytes, Direct]) -> None:
        self._direct = direct
        self.known: dict[bytes, Head] = {}
        self._default_headers: object = None
        self._starts: dict[bytes, bytes] = {}

    def learn(self, head: bytes, path: bytes, fields: list[tuple[bytes, bytes]]) -> None:
        """Keep what uvicorn's parser found in this head, if it is one of a request that may be answered directly."""
        direct = self._direct.get(path)
        if direct is None or len(head) > LONGEST_HEAD:
            return
        names = [name for name, _ in fields]
        by_name = dict(fields)
        plain = not {b"expect", b"transfer-encoding", b"upgrade"}.intersection(names)
        plain = plain and by_name.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        bearer, length = by_name.get(b"authorization", b""), by_name.get(b"content-length", b"")
        if not plain or not length.isdigit() or bearer[:7].lower() != b"bearer " or len(by_name) != len(names):
            return
        if len(self.known) >= MOST_HEADS:
            self.known.clear()
        key = by_name.get(b"idempotency-key")
        self.known[head] = Head(
            direct, sha256(bearer[7:]).digest(), None if key is None else key.decode("latin-1"), int(length)
        )

    def start(self, status: bytes, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """The status line and the server's own fields, which it makes anew once a second."""
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._starts.clear()
        start = self._starts.get(status)
        if start is None:
            fields = b"".join(b"%b: %b\r\n" % field for field in default_headers)
            start = self._starts[status] = b"HTTP/1.1 %b\r\n%b" % (status, fields)
        return start


class Gathering:
    """A transport that gathers what is written within one round of the loop; everything else goes straight through."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep the part; the first of a round sees to it that all are written at the round's end."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Write what is gathered now."""
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Write what is gathered, then close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's protocol on a gathering transport, answering directly under heads that are known."""

    def connection_made(self, transport: Any) -> None:
        self._wire = transport
        self._gathering = Gathering(transport, self.loop)
        self._heads: Heads | None = self.app_state.get(STATE)
        self._begun = self._completed = 0  # messages that the parser has seen
        self._answering = False
        self._leaving = False
        self._held = b""
        self._answered_at = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        super().connection_made(self._gathering)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer directly, or let the parser have it. What comes while an answer is being made waits for its turn."""
        if self._answering:
            self._held += data
            self._wire.pause_reading()
            return
        heads = self._heads
        if heads is None or self._begun != self._completed or self._in_application():
            super().data_received(data)
            return
        end = data.find(END) + 4
        known = heads.known.get(data[:end])
        if known is not None and len(data) == end + known.body_length:
            self._answering = True
            if known.direct(known.key_digest, known.idempotency_key, data[end:], self._answer):
                if self.timeout_keep_alive_task is not None:
                    self._unset_keepalive_if_required()
                return
            self._answering = False
        begun = self._begun
        super().data_received(data)
        if known is None and end > 3 and self._begun == begun + 1 == self._completed and self.parser is not None:
            self._learn(heads, data, end)

    def on_message_begin(self) -> None:
        self._begun += 1
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._completed += 1
        super().on_message_complete()

    def shutdown(self) -> None:
        """A request that is being answered is answered; then the connection is closed."""
        if self._answering:
            self._leaving = True
        else:
            super().shutdown()

    def _in_application(self) -> bool:
        cycle: Any = self.cycle  # none before the first request, whatever its annotation says
        return cycle is not None and not cycle.response_complete

    def _learn(self, heads: Heads, data: bytes, end: int) -> None:
        """One whole request has just been parsed: its head will be known."""
        scope = self.scope
        if scope["method"] == "POST" and scope["http_version"] == "1.1" and not scope["query_string"]:
            heads.learn(data[:end], scope["raw_path"], self.headers)

    def _answer(self, status: bytes, rest: bytes) -> None:
        """Write a direct answer whole, then go on with what came meanwhile."""
        self._answering = False
        if self._wire.is_closing():
            return
        self._gathering.flush()
        assert self._heads is not None
        self._wire.write(self._heads.start(status, self.server_state.default_headers) + rest)
        self.server_state.total_requests += 1
        if self._leaving:
            self._wire.close()
            return
        self._answered_at = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_when_idle)
        if self._held:
            held, self._held = self._held, b""
            self._wire.resume_reading()
            self.data_received(held)

    def _close_when_idle(self) -> None:
        """One timer for many answers: it looks when the last one was. uvicorn's own timer goes before."""
        self._idle_timer = None
        busy = self._answering or self._begun != self._completed or self._in_application()
        if busy or self.timeout_keep_alive_task is not None or self._wire.is_closing():
            return
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_when_idle)
        else:
            self._wire.close()
