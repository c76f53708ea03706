"""`POST /v1/admit` and `/v1/admit/batch`: plain ASGI handlers, because they are the hot path.

They share the typed structs with the other handlers and stand in the OpenAPI document through `documented.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import structlog
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from tollhouse.admission.model import Outcome
from tollhouse.api.answers import rate_headers
from tollhouse.api.asks import AdmitRequest, BatchRequest, fingerprint_of, prepare
from tollhouse.api.bodies import CallerGone, decode, decoder_of, read_body
from tollhouse.api.callers import authenticate
from tollhouse.api.problems import PROBLEM_JSON, internal_error, problem, problem_of
from tollhouse.api.request_ids import new_request_id
from tollhouse.house import House
from tollhouse.kernel.errors import InvalidRequest, TollhouseError
from tollhouse.kernel.ids import is_id

MOST_BODY_BYTES = 4 * 1024 * 1024
JSON, PROBLEM = b"application/json", PROBLEM_JSON.encode()
ALLOWED = [(b"allow", b"OPTIONS, POST")]
FAILED_ITEM = b'{"allowed":false,"id":null,"error":%s}'

log = structlog.get_logger(__name__)

ADMIT, BATCH = decoder_of(AdmitRequest), decoder_of(BatchRequest)

Work = Callable[[House, bytes, str | None], Awaitable[tuple[bytes, list[tuple[bytes, bytes]]]]]


def hot_handlers(house: House) -> dict[str, ASGIApp]:
    """The two handlers by path. The server asks here first; what it does not find goes through the framework."""

    async def admit(scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(house, _admit, scope, receive, send)

    async def admit_batch(scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(house, _admit_batch, scope, receive, send)

    return {"/v1/admit": admit, "/v1/admit/batch": admit_batch}


def hot_routes(house: House) -> list[ASGIRouteHandler]:
    """The same handlers mounted in the framework, so that the application is whole without our server too."""
    return [asgi(path, copy_scope=True)(handler) for path, handler in hot_handlers(house).items()]


async def _serve(house: House, work: Work, scope: Any, receive: Receive, send: Send) -> None:
    """Authenticate, read, work, answer; every error as a problem."""
    status, content_type, request_id = 200, JSON, new_request_id()
    headers: list[tuple[bytes, bytes]] = []
    try:
        if scope["method"] == "POST":
            key = authenticate(house, scope)
            body, headers = await work(house, await read_body(receive, MOST_BODY_BYTES), key)
        else:
            status, content_type, headers = 405, PROBLEM, ALLOWED
            body = problem(405, "method_not_allowed", "only POST is understood here", {"fix": "send it with POST"})
    except CallerGone:
        return
    except Exception as error:  # what rule 4 leaves to the culprit alone must look like every other answer
        content_type = PROBLEM
        status, body, extra = answer_to_error(error, scope["path"], request_id)
        headers = [(name.encode(), value.encode()) for name, value in extra.items()]
    start = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def answer_to_error(error: BaseException, path: str, request_id: bytes) -> tuple[int, bytes, dict[str, str]]:
    """(status, problem, further header fields) of whatever went wrong; ours to mend (500) stands in the log by its id."""
    told = problem_of(error) if isinstance(error, TollhouseError) else (500, internal_error(), {})
    if told[0] == 500:
        log.error("admission.failed", id=request_id.decode(), path=path, exc_info=error)
    return told


async def _admit(house: House, body: bytes, header_key: str | None) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    request: AdmitRequest = decode(ADMIT, body)
    customer = request.customer if is_id(request.customer, "cus") else await house.directory.find(request.customer)
    outcome = await _submit(house, request, customer, header_key)
    headers = rate_headers(outcome.limit)
    return outcome.body, [(name.encode(), value.encode()) for name, value in headers.items()]


def _submit(house: House, request: AdmitRequest, customer: str, header_key: str | None) -> asyncio.Future[Outcome]:
    ready = prepare(request, house.admission.prices, header_key)
    mark = fingerprint_of(customer, ready, request.amount is not None)
    return house.admission.submit("admit", customer, ready.charge, ready.key, mark, ready.metadata)


async def _admit_batch(house: House, body: bytes, header_key: str | None) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Each item decided in its order; a bad one is answered with its error and spoils only itself."""
    if header_key is not None:
        raise InvalidRequest(
            "a batch takes no Idempotency-Key", code="invalid_key", fix="give each item a key of its own"
        )
    waiting: list[asyncio.Future[Outcome] | bytes] = []
    requests = [_decoded(item) for item in decode(BATCH, body).items]
    references = {r.customer for r in requests if isinstance(r, AdmitRequest) and not is_id(r.customer, "cus")}
    known = await house.directory.lookup(references) if references else {}
    for request in requests:
        if isinstance(request, bytes):
            waiting.append(request)
            continue
        try:
            customer = request.customer if is_id(request.customer, "cus") else known.get(request.customer)
            if customer is None:
                raise house.directory.unknown(request.customer)
            waiting.append(_submit(house, request, customer, None))
        except TollhouseError as error:
            waiting.append(error_item(error))
    answers: list[bytes] = []
    for item in waiting:
        try:
            answers.append(item if isinstance(item, bytes) else (await item).body)
        except Exception as error:  # the culprit's alone: the others have been decided, and hear so
            answers.append(error_item(error, len(answers)))
    return batch_body(answers), []


def batch_body(answers: Iterable[bytes]) -> bytes:
    """The answer to a batch, from the answers to its items."""
    return b'{"items":[' + b",".join(answers) + b"]}"


def _decoded(item: msgspec.Raw) -> AdmitRequest | bytes:
    try:
        request: AdmitRequest = decode(ADMIT, item)
    except InvalidRequest as error:
        return error_item(error)
    return request


def error_item(error: BaseException, number: int | None = None) -> bytes:
    """What stands in a batch's answer for an item that could not be decided."""
    if isinstance(error, TollhouseError):
        return FAILED_ITEM % problem_of(error)[1]
    log.error("admission.failed", path="/v1/admit/batch", item=number, exc_info=error)
    return FAILED_ITEM % internal_error()
