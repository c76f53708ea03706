"""The bodies of requests: bounded, whole, and read once into their types, so that no amount ever was a float."""

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Request
from litestar.types import Empty, Receive

from tollhouse.kernel.errors import InvalidRequest

FIX = "see /docs for the fields of this request"


class BodyTooLarge(InvalidRequest):
    """More than this address takes."""

    default_code = "body_too_large"


class NotJson(InvalidRequest):
    """The body cannot be read at all."""


class CallerGone(Exception):
    """The connection was closed before the whole request had come: there is nobody to answer."""


class ApiRequest(Request[Any, Any, Any]):
    """The framework's request, but JSON is read straight into the type that the handler declares for `data`."""

    async def json(self) -> Any:
        """The body. Raises NotJson, InvalidRequest."""
        if self._json is Empty:
            field = self.route_handler.parsed_data_field
            self._json = decode(decoder_of(Any if field is None else field.annotation), await self.body())
        return self._json


@lru_cache
def decoder_of(kind: Any) -> "msgspec.json.Decoder[Any]":
    """The decoder for a type, made once."""
    return msgspec.json.Decoder(kind)


def decode(decoder: "msgspec.json.Decoder[Any]", body: bytes | msgspec.Raw) -> Any:
    """What the JSON says. Raises NotJson, and InvalidRequest when it says something else than it should."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), fix=FIX) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"the body is not JSON: {error}", fix=FIX) from None
    except RecursionError:
        raise NotJson("the JSON is nested too deeply", fix=FIX) from None


async def read_body(receive: Receive, most_bytes: int) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as there is too much of it, CallerGone."""
    message: Any = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and message["type"] == "http.request" and len(body) <= most_bytes:
        return body
    parts, size = [body], len(body)
    while message["type"] == "http.request" and size <= most_bytes and message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if message["type"] != "http.request":
        raise CallerGone
    if size > most_bytes:
        raise BodyTooLarge(f"the body is larger than {most_bytes} bytes", fix="send less at once")
    return b"".join(parts)
