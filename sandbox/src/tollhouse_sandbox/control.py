"""`/_sandbox/…`: the controls of the sandbox itself, for tests, demos and buttons."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import msgspec

from tollhouse_sandbox import trigger
from tollhouse_sandbox.billing import agenda, disputes
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import StripeError
from tollhouse_sandbox.faults import Faults
from tollhouse_sandbox.http import Request, Response, as_json
from tollhouse_sandbox.identifiers import random_text
from tollhouse_sandbox.world import INTERNAL, World

MOST_EVENTS = 1_000


class Problem(Exception):
    """A control was used wrongly: what, and how to use it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def answer(world: World, request: Request) -> Response:
    """The answer to one control; errors are `{"error": {"message"}}`."""
    steps = request.path.strip("/").split("/")[1:]
    try:
        match request.method, steps:
            case "POST", ["deliveries" | "events" as kind, key, "resend"]:
                return as_json(_resend(world, kind, key))
            case "POST", ["disputes", key, "close"]:
                return as_json(_close_dispute(world, key, request))
            case "POST", ["webhook_endpoints", key, "roll"]:
                return as_json(_roll_secret(world, key, request))
            case "DELETE", ["mail"]:
                return as_json(_delete_mail(world))
            case "DELETE", ["faults"]:
                world.faults = Faults()
                return as_json(world.faults)
            case _:
                handler = _CONTROLS.get((request.method, "/".join(steps)))
                if handler is None:
                    raise Problem(f"There is no control {request.method} {request.path}. See sandbox/README.md.", 404)
                return as_json(await handler(world, request))
    except Problem as problem:
        return as_json({"error": {"message": str(problem)}}, problem.status)
    except StripeError as refusal:
        return as_json({"error": refusal.error}, refusal.status)


def _body(request: Request) -> Doc:
    if not request.body:
        return {}
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {name: int(value) if value.isdigit() else value for name, value in request.form().items()}
    try:
        document = msgspec.json.decode(request.body)
    except msgspec.DecodeError as error:
        raise Problem(f"The body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Problem("The body has to be a JSON object.")
    return document


def clock_of(world: World) -> Doc:
    """The clock as shown."""
    return {"now": world.clock.now(), "offset_seconds": world.clock.offset_seconds}


async def _clock(world: World, request: Request) -> Doc:
    return clock_of(world)


async def _advance(world: World, request: Request) -> Doc:
    given = _body(request)
    now = world.clock.now()
    if not given.keys() <= {"seconds", "to"} or len(given) != 1 or not isinstance(next(iter(given.values())), int):
        raise Problem('Send {"seconds": n} or {"to": unix seconds}.')
    moment = now + given["seconds"] if "seconds" in given else given["to"]
    if moment < now:
        raise Problem(f"The clock only moves forward: it is {now}, and {moment} is earlier.")
    if moment > now + 20 * 366 * 86_400:
        raise Problem("The clock moves by 20 years at most.")
    return {"done": agenda.advance(world, moment), **clock_of(world)}


async def _show_faults(world: World, request: Request) -> Faults:
    return world.faults


async def _set_faults(world: World, request: Request) -> Faults:
    merged = {**msgspec.to_builtins(world.faults), **_body(request)}
    try:
        world.faults = msgspec.convert(merged, Faults)
    except msgspec.ValidationError as error:
        raise Problem(f"These are no faults: {error}. Known: {', '.join(Faults.__struct_fields__)}.") from None
    return world.faults


async def _deliveries(world: World, request: Request) -> Doc:
    asked = request.asked()
    rows = [
        delivery
        for delivery in world.store.newest("delivery")
        if all(asked.get(name) in (None, delivery[name]) for name in ("status", "event", "endpoint", "type"))
    ]
    limit = asked.get("limit", "1000")
    return {"data": rows[: int(limit) if limit.isdigit() else 1000], "total": len(rows)}


async def _release(world: World, request: Request) -> Doc:
    order = _body(request).get("order", "as_held")
    if isinstance(order, list):
        order = ",".join(map(str, order))
    return {"released": world.deliveries.release(str(order))}


async def _settle(world: World, request: Request) -> Doc:
    timeout_ms = _body(request).get("timeout_ms", 5000)
    if not isinstance(timeout_ms, int):
        raise Problem('Send {"timeout_ms": n}.')
    return {"settled": await world.deliveries.settle(timeout_ms / 1000)}


def _resend(world: World, kind: str, key: str) -> Doc:
    """Sends a delivery, or an event to every endpoint (also those made later), again."""
    delivery = world.store.get("delivery", key) if kind == "deliveries" else None
    event = world.store.get("event", delivery["event"] if delivery else key)
    if event is None:
        raise Problem(f"There is no such {'delivery' if kind == 'deliveries' else 'event'}: {key}", 404)
    endpoints = [
        endpoint
        for endpoint in world.store.oldest("webhook_endpoint")
        if endpoint["livemode"] == event["livemode"] and (delivery is None or endpoint["id"] == delivery["endpoint"])
    ]
    return {"deliveries": [world.deliveries.resend(event, endpoint)["id"] for endpoint in endpoints]}


async def _events(world: World, request: Request) -> Doc:
    asked = request.asked()
    wanted, limit, after = asked.get("type"), str(asked.get("limit", "")), asked.get("after")
    newer = itertools.takewhile(lambda event: event["id"] != after, world.store.newest("event"))
    rows = [event for event in newer if wanted in (None, event["type"])]
    return {"data": rows[: int(limit) if limit.isdecimal() else MOST_EVENTS], "total": len(rows)}


async def _state(world: World, request: Request) -> Doc:
    kinds = [kind for kind in world.store.kinds() if kind not in INTERNAL]
    return {"clock": clock_of(world), "objects": {kind: list(world.store.oldest(kind)) for kind in kinds}}


async def _reset(world: World, request: Request) -> Doc:
    world.forget_everything()
    await asyncio.sleep(0)
    return {"reset": True, **clock_of(world)}


async def _revoke(world: World, request: Request) -> Doc:
    """The merchant rolls an API key: it is told apart from one that never was."""
    key = _body(request).get("key")
    if not isinstance(key, str) or not key:
        raise Problem('Send {"key": "sk_…"}.')
    world.revoke_key(key)
    return {"revoked": len(world.revoked_keys())}


async def _trigger(world: World, request: Request) -> Doc:
    given = {"livemode": world.config.mode == "live", **_body(request)}
    try:
        order = msgspec.convert(given, trigger.Order)
    except msgspec.ValidationError as error:
        raise Problem(f'{error}. Send {{"event": type, "customer"?, "price"?, "lookup_key"?}}.') from None
    if order.event not in trigger.TRIGGERS:
        raise Problem(f"No trigger for {order.event!r}. Known: {', '.join(sorted(trigger.TRIGGERS))}.")
    return trigger.fire(world, order)


class _DisputeOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    charge: str | None = None
    payment_intent: str | None = None
    reason: str = "fraudulent"
    amount: int | None = None


async def _open_dispute(world: World, request: Request) -> Doc:
    """A charge's owner takes the payment back."""
    use = 'Send {"charge" or "payment_intent": id, "reason"?, "amount"?}'
    try:
        order = msgspec.convert(_body(request), _DisputeOrder)
    except msgspec.ValidationError as error:
        raise Problem(f"{error}. {use}.") from None
    intent = world.store.get("payment_intent", order.payment_intent or "")
    charge = world.store.get("charge", order.charge or (intent["latest_charge"] if intent else None) or "")
    if charge is None:
        raise Problem(f"There is no such charge. {use}.", 404)
    if order.reason not in disputes.REASONS:
        raise Problem(f"No reason {order.reason!r}. Known: {', '.join(disputes.REASONS)}.")
    return disputes.open_(world, charge, reason=order.reason, amount=order.amount)


def _close_dispute(world: World, key: str, request: Request) -> Doc:
    """The bank decides."""
    dispute = world.store.get("dispute", key)
    if dispute is None:
        raise Problem(f"There is no such dispute: {key}", 404)
    status = _body(request).get("status")
    if status not in ("won", "lost"):
        raise Problem('Send {"status": "won"} or {"status": "lost"}.')
    return disputes.close(world, dispute, won=status == "won")


def _roll_secret(world: World, key: str, request: Request) -> Doc:
    """The merchant rolls an endpoint's secret in the Dashboard: the old one signs along for so long."""
    seconds = _body(request).get("old_for_seconds", 0)
    if world.store.get("webhook_endpoint", key) is None:
        raise Problem(f"There is no such endpoint: {key}", 404)
    if not isinstance(seconds, int) or not 0 <= seconds <= 86_400:
        raise Problem('Send {"old_for_seconds": n}, a day at most.')
    known = world.private(key)
    rolled = [*known.get("rolled", []), {"secret": known["secret"], "until": world.clock.now() + seconds}]
    world.keep_private(key, secret=f"whsec_{random_text(32)}", rolled=rolled)
    return {"id": key, "secret": world.private(key)["secret"]}


async def _mail(world: World, request: Request) -> Doc:
    to = request.asked().get("to")
    return {"data": [mail for mail in world.store.newest("mail") if to is None or to in mail["to"]]}


def _delete_mail(world: World) -> Doc:
    keys = [mail["id"] for mail in world.store.oldest("mail")]
    for key in keys:
        world.store.delete("mail", key)
    return {"deleted": len(keys)}


_CONTROLS: dict[tuple[str, str], Callable[[World, Request], Awaitable[object]]] = {
    ("GET", "clock"): _clock,
    ("POST", "clock/advance"): _advance,
    ("GET", "faults"): _show_faults,
    ("POST", "faults"): _set_faults,
    ("GET", "deliveries"): _deliveries,
    ("POST", "deliveries/release"): _release,
    ("POST", "deliveries/settle"): _settle,
    ("GET", "events"): _events,
    ("GET", "state"): _state,
    ("POST", "keys/revoke"): _revoke,
    ("POST", "reset"): _reset,
    ("POST", "trigger"): _trigger,
    ("POST", "disputes"): _open_dispute,
    ("GET", "mail"): _mail,
}
