"""The network as it is: answers, broken connections, silence, redirects; connections that are kept."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.sdk.conftest import KEY
from tollhouse_sdk import (
    AsyncHttpTransport,
    ConnectionFailed,
    HttpTransport,
    Request,
    Response,
    Retries,
    TimedOut,
    Tollhouse,
)

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: r1\r\nContent-Length: 17\r\n\r\n{"allowed": true}'
REDIRECT = b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"


class Listener:
    """A server by hand: what each connection is answered, request by request; None hangs up, b'' says nothing."""

    def __init__(self, *connections: list[bytes | None]) -> None:
        self._connections = connections
        self.accepted = 0
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        open_ones = []
        for answers in self._connections:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                break
            self.accepted += 1
            open_ones.append(connection)
            threading.Thread(target=self._speak, args=(connection, answers), daemon=True).start()
        self._socket.close()  # one more connection is refused, not left waiting
        self._over.wait(20)
        for connection in open_ones:
            connection.close()

    def _speak(self, connection: socket.socket, answers: list[bytes | None]) -> None:
        for answer in answers:
            request = b""
            while not _whole(request):
                piece = connection.recv(65_536)
                if not piece:
                    return
                request += piece
            self.requests.append(request)
            if answer is None:
                connection.close()
                return
            connection.sendall(answer)

    def close(self) -> None:
        self._over.set()
        self._socket.close()


def _whole(request: bytes) -> bool:
    head, blank, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(blank) and len(body) == (int(length[1]) if length else 0)


@contextmanager
def listening(*connections: list[bytes | None]) -> Iterator[Listener]:
    listener = Listener(*connections)
    try:
        yield listener
    finally:
        listener.close()


Send = Callable[[list[Request]], list[Response]]


def _blocking(requests: list[Request]) -> list[Response]:
    transport = HttpTransport()
    try:
        return [transport.send(request) for request in requests]
    finally:
        transport.close()


def _asynchronous(requests: list[Request]) -> list[Response]:
    async def run() -> list[Response]:
        transport = AsyncHttpTransport()
        try:
            return [await transport.send_async(request) for request in requests]
        finally:
            await transport.close_async()

    return asyncio.run(run())


@pytest.fixture(params=[_blocking, _asynchronous], ids=["urllib3", "aiohttp"])
def send(request: pytest.FixtureRequest) -> Send:
    found: Send = request.param
    return found


def get(url: str, timeout: float = 5.0) -> Request:
    return Request("GET", f"{url}/v1/x", {"authorization": f"Bearer {KEY}"}, None, timeout)


def test_a_connection_is_kept_from_one_request_to_the_next(send: Send) -> None:
    with listening([ANSWER, ANSWER, ANSWER]) as server:
        answers = send([get(server.url)] * 3)
        assert server.accepted == 1
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[0].headers["x-request-id"] == "r1"
    assert answers[0].body == b'{"allowed": true}'


def test_a_body_arrives_as_it_is(send: Send) -> None:
    with listening([ANSWER]) as server:
        send([Request("POST", f"{server.url}/v1/x", {"content-type": "application/json"}, b'{"a":1}', 5.0)])
        assert server.requests[0].startswith(b"POST /v1/x HTTP/1.1")
        assert server.requests[0].endswith(b'{"a":1}')


def test_a_connection_that_breaks_is_a_failed_connection(send: Send) -> None:
    with listening([None]) as server, pytest.raises(ConnectionFailed):
        send([get(server.url)])


def test_nobody_at_the_address_is_a_failed_connection(send: Send) -> None:
    with pytest.raises(ConnectionFailed):
        send([get("http://127.0.0.1:9")])


def test_silence_ends_at_the_timeout(send: Send) -> None:
    with listening([b""]) as server, pytest.raises(TimedOut, match=r"did not answer within 0\.05 s"):
        send([get(server.url, timeout=0.05)])


def test_the_secret_key_does_not_follow_a_redirect(send: Send) -> None:
    with listening([REDIRECT]) as server:
        [answer] = send([get(server.url)])
    assert answer.status == 307


def test_the_client_goes_on_over_a_fresh_connection() -> None:
    """The server hangs up in the middle of an admission; the next attempt carries the same key."""
    with listening([None], [ANSWER]) as server:
        with Tollhouse(server.url, KEY, retries=Retries(first_pause_seconds=0.001)) as client:
            assert client.admit("ada", "launch").allowed
        bodies = [request.partition(b"\r\n\r\n")[2] for request in server.requests]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
