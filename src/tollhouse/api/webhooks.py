"""`POST /webhooks/stripe`, and the further paths of STRIPE_WEBHOOK_PATHS: verify, keep, answer. Nothing is done here.

Plain ASGI handlers: the signature is over the raw body. What is kept (`billing/intake.py`) is handled by the worker.
"""

from typing import Any

import structlog
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from tollhouse.api.bodies import CallerGone, read_body
from tollhouse.api.problems import PROBLEM_JSON, problem, problem_of
from tollhouse.api.request_ids import new_request_id
from tollhouse.billing import refused
from tollhouse.billing.account import PROBE_TYPE
from tollhouse.billing.stripe import FIXES, BadSignature, read_event, verify
from tollhouse.house import House
from tollhouse.kernel.errors import TollhouseError

PATH = "/webhooks/stripe"
MOST_BODY_BYTES = 1024 * 1024
RECEIVED = b'{"received":true}'

log = structlog.get_logger(__name__)


def webhook_handlers(house: House) -> dict[str, ASGIApp]:
    """A handler for each path on which Stripe may call. The server asks here first, as for the two hot calls."""

    async def stripe_webhook(scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(house, scope, receive, send)

    return dict.fromkeys((PATH, *house.settings.stripe.webhook_paths), stripe_webhook)


def webhook_routes(house: House) -> list[ASGIRouteHandler]:
    """The same mounted in the framework, so that the application is whole without our server too."""
    return [asgi(path, copy_scope=True)(handler) for path, handler in webhook_handlers(house).items()]


async def _serve(house: House, scope: Any, receive: Receive, send: Send) -> None:
    status, content_type, extra = 200, "application/json", {}
    try:
        if scope["method"] != "POST":
            status, content_type, extra = 405, PROBLEM_JSON, {"allow": "OPTIONS, POST"}
            body = problem(405, "method_not_allowed", "Stripe calls this address with POST")
        else:
            body = await _take_in(house, scope, receive)
    except BadSignature as error:
        status, content_type, body = 400, PROBLEM_JSON, problem(400, error.code, error.detail)
    except TollhouseError as error:
        content_type = PROBLEM_JSON
        status, body, extra = problem_of(error)
    except CallerGone:
        return
    headers = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "x-request-id": new_request_id().decode(),
        **extra,
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _take_in(house: House, scope: Any, receive: Receive) -> bytes:
    """Verify the raw body, keep the event once, commit. Raises BadSignature, BodyTooLarge, InvalidRequest, CallerGone."""
    payload = await read_body(receive, MOST_BODY_BYTES)
    now = house.store.clock.now_ms()
    header = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"stripe-signature"), None)
    try:
        verify(payload, header, [secret.reveal() for secret in house.settings.stripe.webhook_secrets], now)
    except BadSignature as error:
        house.webhooks.rejected(error, now)
        log.warning("webhook.refused", reason=error.reason, fix=FIXES[error.reason], path=scope["path"])
        await _note_refused(house, payload, error, now)
        raise
    event = read_event(payload)
    if event.type == PROBE_TYPE:  # of `tollhouse stripe validate`: that it was verified is all it wants to know
        return RECEIVED
    house.webhooks.accepted(now)
    await house.intake.keep(event, payload)
    return RECEIVED


async def _note_refused(house: House, payload: bytes, error: BadSignature, now: int) -> None:
    """For the worker, which asks Stripe whether it sent this. Whatever comes of it, the answer stays the same."""
    if house.stripe is None or error.reason not in refused.TELLING or not house.webhooks.may_note(now):
        return
    try:
        async with house.store.transaction() as tx:
            noted = await refused.remember(tx, payload, error, now)
    except TollhouseError as lost:
        log.warning("webhook.refusal_not_noted", error=str(lost))
        return
    if noted:
        house.bells.watch.set()
