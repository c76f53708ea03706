"""The application: every entrance mounted, every error a problem or a page, every answer with its request id."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ControllerRouterHandler, Message, Scope, Send

from tollhouse.api.answers import ExactResponse
from tollhouse.api.bodies import ApiRequest
from tollhouse.api.problems import PROBLEM_JSON, internal_error, problem, problem_of
from tollhouse.api.reference import reference_routes
from tollhouse.api.request_ids import new_request_id
from tollhouse.house import House
from tollhouse.kernel.errors import TollhouseError

API_PATHS = ("/v1/", "/api/", "/billing/", "/webhooks/", "/health", "/openapi", "/docs/openapi")
MOST_BODY_BYTES = 4 * 1024 * 1024
SHOWN_HEADERS = ["X-Request-Id", "RateLimit", "RateLimit-Policy", "Retry-After"]

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]
ErrorPage = Callable[[AnyRequest, int], Response[Any]]


NO_METHOD = "-"


class Application(Litestar):
    """The framework's application, which knows HEAD wherever there is a GET, and every method of an address in OPTIONS."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        method = scope["method"] if scope["type"] == "http" else ""
        if method == "HEAD":
            await super().__call__(_asked_with(scope, "GET"), receive, _without_body(send))
        elif method == "OPTIONS" and not _is_preflight(scope):
            # The framework's own handler tells the methods of one handler only; its refusal tells them all.
            await super().__call__(_asked_with(scope, NO_METHOD), receive, _without_body(send, refused_status=204))
        else:
            await super().__call__(scope, receive, send)


def _asked_with(scope: Any, method: str) -> Any:
    return {**scope, "method": method}


def _is_preflight(scope: Any) -> bool:
    """A browser's question whether a page of another origin may call; answered by the CORS settings."""
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def _without_body(send: Send, refused_status: int = 405) -> Send:
    """Send only the head of the answer; `refused_status` takes the place of 405."""

    async def head(message: Any) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        elif message["status"] == 405 != refused_status:
            kept = [(name, value) for name, value in message["headers"] if name in (b"allow", b"x-request-id")]
            message = {**message, "status": refused_status, "headers": kept}
        await send(message)

    return head


def logged(request: AnyRequest, error: Exception) -> str:
    """Log a failure of ours; the id under which it is found."""
    name = new_request_id().decode()
    log.error("request.failed", id=name, path=request.url.path, method=request.method, exc_info=error)
    return name


def build_app(house: House, routes: Sequence[ControllerRouterHandler], error_page: ErrorPage | None = None) -> Litestar:
    """Mount `routes`. `error_page` makes a page of an error's status where a browser asked for one."""

    def ours(request: AnyRequest, error: TollhouseError) -> Response[Any]:
        status, body, headers = problem_of(error)
        if status == 500:
            headers = {**headers, "x-request-id": logged(request, error)}
        return _answer(request, status, body, headers, error_page)

    def framework(request: AnyRequest, error: HTTPException) -> Response[Any]:
        status, code, detail, fields = _understood(error)
        body = problem(status, code, detail, fields)
        return _answer(request, status, body, dict(error.headers or {}), error_page)

    def unknown(request: AnyRequest, error: Exception) -> Response[Any]:
        return _answer(request, 500, internal_error(), {"x-request-id": logged(request, error)}, error_page)

    return Application(
        [*routes, reference_routes(house, routes)],
        dependencies={"house": Provide(lambda: house, sync_to_thread=False)},
        exception_handlers={TollhouseError: ours, HTTPException: framework, Exception: unknown},
        request_class=ApiRequest,
        response_class=ExactResponse,
        before_send=[_request_id],
        cors_config=_cors(house),
        request_max_body_size=MOST_BODY_BYTES,
        openapi_config=None,
        state=State({"house": house}),
        logging_config=None,
        debug=False,
    )


def _answer(
    request: AnyRequest, status: int, body: bytes, headers: dict[str, str], error_page: ErrorPage | None
) -> Response[Any]:
    wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(API_PATHS)
    if wants_page and error_page is not None:
        return error_page(request, status)
    return Response(body, media_type=PROBLEM_JSON, status_code=status, headers=headers)


def _understood(error: HTTPException) -> tuple[int, str, str, dict[str, object]]:
    """(status, code, detail, fields) of the framework's own refusals; what a client sent is never a 500."""
    if isinstance(error, ValidationException):
        problems = [
            f"{found.get('key', 'body')}: {found.get('message', '')}"
            for found in error.extra or ()
            if isinstance(found, dict)
        ]
        return 422, "invalid_request", "; ".join(problems) or error.detail, {"fix": "see /docs for the fields"}
    codes = {
        400: "invalid_request", 401: "not_authenticated", 403: "not_allowed", 404: "not_found",
        405: "method_not_allowed", 413: "body_too_large", 415: "unsupported_media_type", 429: "too_many_attempts",
    }  # fmt: skip
    return error.status_code, codes.get(error.status_code, "error"), error.detail, {}


def _cors(house: House) -> CORSConfig | None:
    web = house.settings.web
    if web.cors_mode == "public":
        return CORSConfig(allow_origins=["*"], expose_headers=SHOWN_HEADERS)
    if not web.allowed_origins:
        return None
    return CORSConfig(allow_origins=list(web.allowed_origins), allow_credentials=True, expose_headers=SHOWN_HEADERS)


async def _request_id(message: Message, scope: Scope) -> None:
    """Every answer has an X-Request-Id (the hot path writes its own)."""
    if message["type"] == "http.response.start":
        headers = message["headers"]
        if not any(name == b"x-request-id" for name, _ in headers):
            message["headers"] = [*headers, (b"x-request-id", new_request_id())]
