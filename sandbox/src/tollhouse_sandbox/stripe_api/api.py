"""From an HTTP request under `/v1/` to Stripe's answer: key, version, idempotency, faults, expansion, errors."""

import base64
import binascii
import hashlib

import msgspec

from tollhouse_sandbox.config import API_VERSION
from tollhouse_sandbox.documents import Doc, encode
from tollhouse_sandbox.errors import StripeError, invalid
from tollhouse_sandbox.faults import ApiError, takes_api_error
from tollhouse_sandbox.http import Request, Response
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.stripe_api import forms, routes, times
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.expand import expanded
from tollhouse_sandbox.versions import in_version
from tollhouse_sandbox.world import Caller, World

_KEY_SECONDS = 86_400


class _Remembered(msgspec.Struct, frozen=True):
    """The first answer given under an idempotency key."""

    fingerprint: str
    path: str
    status: int
    body: str


def answer(world: World, request: Request) -> Response:
    """The answer to one API call. Changes are complete and kept before it returns."""
    request_id = new_id("req", 14)
    if not world.pace.allows(world.faults):
        return _fail(ApiError(status=429), request_id, request)
    error = takes_api_error(world.faults, request.method, request.path)
    if error and error.when == "before":
        return _fail(error, request_id, request)
    try:
        response = _answer(world, request, request_id)
    except StripeError as problem:
        response = _respond(problem.status, {"error": _logged(problem, request_id)}, request_id, request)
    finally:
        world.caller = None
    if error and error.when == "cut":
        response.cut = True
        return response
    return _fail(error, request_id, request) if error else response


def _answer(world: World, request: Request, request_id: str) -> Response:
    livemode = _authenticate(world, request.headers.get("authorization", ""))
    _check_version(request.headers.get("stripe-version", API_VERSION))
    route = routes.find(request.method, request.path)
    if route is None:
        raise StripeError(
            404,
            f"Unrecognized request URL ({request.method}: {request.path}). Please see https://stripe.com/docs or we can"
            " help at https://support.stripe.com/.",
        )
    handler, ids = route
    text = request.query if request.method in ("GET", "DELETE") and not request.body else _text(request.body)
    sent = forms.parse(text)
    expand = _expand_paths(sent.pop("expand", []))
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if key is None:
        call = Call(world=world, livemode=livemode, path=request.path, ids=ids, sent=sent, expand=tuple(expand))
        world.caller = Caller(request_id, None)
        with times.of_call(world, ids, sent):
            found = handler(call)
        return _respond(200, _told(world, request, found, expand), request_id, request)
    fingerprint = hashlib.sha256(f"{request.path}\n{text}".encode()).hexdigest()
    remembered = _recall(world, key, livemode, fingerprint, request.path)
    if remembered:
        replay = Response(remembered.status, remembered.body.encode(), headers=_headers(request_id, request))
        replay.headers["idempotent-replayed"] = "true"
        return replay
    call = Call(world=world, livemode=livemode, path=request.path, ids=ids, sent=sent, expand=tuple(expand))
    world.caller = Caller(request_id, key)
    try:
        with times.of_call(world, ids, sent):
            found = handler(call)
        response = _respond(200, _told(world, request, found, expand), request_id, request)
    except StripeError as problem:
        if problem.status != 402:
            raise
        response = _respond(problem.status, {"error": _logged(problem, request_id)}, request_id, request)
    _remember(world, key, livemode, _Remembered(fingerprint, request.path, response.status, response.body.decode()))
    return response


def _told(world: World, request: Request, document: Doc, expand: list[str]) -> Doc:
    """The document as it is answered: expanded, in the version that the caller speaks."""
    whole = expanded(world.store, document, expand) if expand else document
    return in_version(world.store, whole, request.headers.get("stripe-version", API_VERSION))


def _authenticate(world: World, header: str) -> bool:
    """Whether the key is a live one. Raises Stripe's 401 for no key or a wrong one."""
    scheme, _, credentials = header.partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise StripeError(
            401,
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer"
            " auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for"
            " details, or we can help at https://support.stripe.com/.",
        )
    if key in world.revoked_keys():
        raise StripeError(401, f"Expired API Key provided: {_masked(key)}", code="api_key_expired")
    allowed, mode = world.config.secret_keys, world.config.mode
    if key not in allowed if allowed else not key.startswith((f"sk_{mode}_", f"rk_{mode}_")):
        raise StripeError(401, f"Invalid API Key provided: {_masked(key)}")
    return key.startswith(("sk_live_", "rk_live_"))


def _masked(key: str) -> str:
    if len(key) < 13:
        return "*" * len(key)
    return key[:8] + "*" * (len(key) - 12) + key[-4:]


def _check_version(version: str) -> None:
    date = version.partition(".")[0]
    if len(date) != 10 or date[4] + date[7] != "--" or not date.replace("-", "").isdigit():
        raise invalid(f"Invalid Stripe API version: {version}")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise invalid("Invalid request: the body is not valid UTF-8") from None


def _expand_paths(sent: object) -> list[str]:
    if not isinstance(sent, list) or not all(isinstance(path, str) and path for path in sent):
        raise invalid("Invalid array", "expand")
    return sent


def _recall(world: World, key: str, livemode: bool, fingerprint: str, path: str) -> _Remembered | None:
    if len(key) > 255:
        raise StripeError(400, "Idempotency keys can be up to 255 characters long.", kind="idempotency_error")
    document = world.store.get("idempotency_key", _key_id(key, livemode))
    if document is None or document["created"] + _KEY_SECONDS < world.clock.now():
        return None
    remembered = msgspec.convert(document["answer"], _Remembered)
    if remembered.path != path:
        raise StripeError(
            400,
            "Keys for idempotent requests can only be used for the same endpoint they were first used for"
            f" ('{path}' vs '{remembered.path}'). Try using a key other than '{key}' if you meant to execute a different"
            " request.",
            kind="idempotency_error",
        )
    if remembered.fingerprint != fingerprint:
        raise StripeError(
            400,
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a"
            f" key other than '{key}' if you meant to execute a different request.",
            kind="idempotency_error",
        )
    return remembered


def _remember(world: World, key: str, livemode: bool, remembered: _Remembered) -> None:
    world.store.put(
        "idempotency_key",
        {"id": _key_id(key, livemode), "created": world.clock.now(), "answer": msgspec.to_builtins(remembered)},
    )


def _key_id(key: str, livemode: bool) -> str:
    return f"{'live' if livemode else 'test'}:{key}"


def _logged(problem: StripeError, request_id: str) -> Doc:
    return {**problem.error, "request_log_url": f"https://dashboard.stripe.com/test/logs/{request_id}"}


def _fail(error: ApiError, request_id: str, request: Request) -> Response:
    response = _respond(error.status, _fault(error), request_id, request)
    if error.status == 429:
        response.headers["stripe-rate-limited-reason"] = "global-rate"
    if error.should_retry is not None:
        response.headers["stripe-should-retry"] = "true" if error.should_retry else "false"
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    return response


def _fault(error: ApiError) -> Doc:
    if error.status == 429:
        return {
            "error": {
                "code": "rate_limit",
                "doc_url": "https://stripe.com/docs/error-codes/rate-limit",
                "message": "Request rate limit exceeded. Learn more about rate limits here"
                " https://stripe.com/docs/rate-limits.",
                "type": "invalid_request_error",
            }
        }
    return {
        "error": {
            "message": "Sorry! There was an error while talking to one of our backends. Support has been notified.",
            "type": "api_error",
        }
    }


def _headers(request_id: str, request: Request) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "request-id": request_id,
        "stripe-version": request.headers.get("stripe-version", API_VERSION),
    }
    key = request.headers.get("idempotency-key")
    if key:
        headers["idempotency-key"] = key
        headers["original-request"] = request_id
    return headers


def _respond(status: int, document: Doc, request_id: str, request: Request) -> Response:
    return Response(status, encode(document), headers=_headers(request_id, request))
