"""How handlers answer: JSON with exact decimals, and what they are given."""

from typing import Any

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation
from litestar.serialization import default_serializer

from tollhouse.admission.model import RateLimit
from tollhouse.api.problems import PROBLEM_JSON, Problem
from tollhouse.house import House
from tollhouse.kernel.errors import InvalidRequest

TheHouse = NamedDependency[SkipValidation[House]]

SECRET_KEY_SECURITY: list[dict[str, list[str]]] = [{"secretKey": []}]
EITHER_SECURITY: list[dict[str, list[str]]] = [{"secretKey": []}, {"session": [], "formToken": []}]
NO_SECURITY: list[dict[str, list[str]]] = [{}]

_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=default_serializer).encode


class ExactResponse(Response[Any]):
    """Litestar's response, but decimals are JSON numbers with every digit (the framework writes them as texts)."""

    def render(self, content: Any, media_type: str, enc_hook: Any = default_serializer) -> bytes:
        if isinstance(content, bytes | str) or "json" not in media_type:
            return super().render(content, media_type, enc_hook)
        return _encode(content)


def json_answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response[Any]:
    """A value as JSON."""
    return ExactResponse(value, media_type="application/json", status_code=status, headers=headers)


def answers_with(shape: type, description: str = "As described", status: int = 200) -> dict[int, ResponseSpec]:
    """What a handler says in the OpenAPI document about its answer."""
    return {status: ResponseSpec(data_container=shape, description=description, generate_examples=False)}


def problems(shape: type = Problem, **meanings: str) -> dict[int, ResponseSpec]:
    """The error answers of a handler, beside those that every handler may give: `problems(_404="no such hold")`."""
    return {
        int(status[1:]): ResponseSpec(shape, generate_examples=False, description=meaning, media_type=PROBLEM_JSON)
        for status, meaning in meanings.items()
    }


def rate_headers(limit: RateLimit | None) -> dict[str, str]:
    """The header fields of an answer whose action costs a rate (IETF draft, RateLimit header fields for HTTP):
    what is left and the seconds until some of it is back, and how much there is in how many seconds.
    """
    if limit is None:
        return {}
    return {
        "ratelimit": f'"{limit.meter}";r={limit.left};t={limit.back_in_seconds}',
        "ratelimit-policy": f'"{limit.meter}";q={limit.limit};w={limit.window_seconds}',
    }


def plain(text: str, field: str) -> str:
    """A text from a path or query without control characters. Raises InvalidRequest."""
    if not text.isprintable() or len(text) > 200:
        raise InvalidRequest(
            f"{field} is not a plain text of at most 200 characters", fix="send the id as it was answered"
        )
    return text
