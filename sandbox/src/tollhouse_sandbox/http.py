"""Requests and answers, as plain as they come, and how ASGI carries them."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from tollhouse_sandbox.documents import encode

# What the ASGI specification itself leaves untyped.
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 2_000_000


class Request(msgspec.Struct, frozen=True):
    """A request that has been read whole. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def asked(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """The fields of a page's form."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))


class Response(msgspec.Struct):
    """An answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    cut: bool = False
    """Only half of the body is sent, then the connection ends."""


class TooLarge(Exception):
    """The request's body is larger than the sandbox reads."""


def as_json(document: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(status, encode(document), {"content-type": "application/json"})


def redirect(url: str) -> Response:
    """See other: the browser goes there with GET."""
    return Response(303, b"", {"location": url, "cache-control": "no-store"})


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Reads the whole request. Raises TooLarge."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False) and message["type"] != "http.disconnect"
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, body)


async def send_response(response: Response, send: Send) -> None:
    """Sends the whole answer."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.cut:
        await send({"type": "http.response.body", "body": response.body[: len(response.body) // 2], "more_body": True})
        return
    await send({"type": "http.response.body", "body": response.body})
