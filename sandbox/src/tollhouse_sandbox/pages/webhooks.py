"""Webhooks as the sandbox shows them: endpoints, what was sent to each, and what is to go wrong."""

from collections import Counter

import msgspec

from tollhouse_sandbox.documents import Doc, encode
from tollhouse_sandbox.faults import ApiError, Faults
from tollhouse_sandbox.http import Request, Response, redirect
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.versions import VERSIONS
from tollhouse_sandbox.world import World

STATUSES = ("pending", "succeeded", "failed", "held", "dropped")
_MOST = 300
_LONGEST_MS = 600_000
_MOST_COUNTED = 1_000_000
_NUMBERS = {
    "drop": ("Lose the next deliveries", _MOST_COUNTED),
    "delay_ms": ("Delay each delivery, ms", _LONGEST_MS),
    "api_latency_ms": ("Delay each answer of the API, ms", _LONGEST_MS),
    "api_calls_a_second": ("Calls a second, then 429 (0: no limit)", _MOST_COUNTED),
    "error_count": ("Calls of the API that fail next", _MOST_COUNTED),
}
_SWITCHES = {
    "double": "Send every event twice",
    "reorder": "Send what comes together in reverse",
    "hold": "Hold deliveries until they are released",
}
_ERRORS = ("429", "500", "503")


def deliveries(world: World, request: Request) -> Response:
    """The endpoints, and the latest deliveries: of one of them, or with one status, where that is asked for."""
    asked = {name: value for name, value in request.asked().items() if name in ("endpoint", "status") and value}
    found = [row for row in world.store.newest("delivery") if all(row[name] == value for name, value in asked.items())]
    counts = {endpoint["id"]: Counter[str]() for endpoint in world.store.oldest("webhook_endpoint")}
    for row in world.store.newest("delivery"):
        if row["endpoint"] in counts:
            counts[row["endpoint"]][row["status"]] += 1
    return page(
        world,
        "deliveries.html",
        endpoints=list(world.store.newest("webhook_endpoint")),
        counts=counts,
        secrets={key: (world.store.get("private", key) or {}).get("secret") for key in counts},
        rows=found[:_MOST],
        total=len(found),
        asked=asked,
        statuses=STATUSES,
        versions=VERSIONS,
    )


def write_in_version(world: World, request: Request, key: str) -> Response:
    """Chooses the API version in which an endpoint is written to; empty: today's."""
    endpoint, version = world.store.get("webhook_endpoint", key), request.form().get("version", "")
    if endpoint and version in ("", *VERSIONS):
        world.store.put("webhook_endpoint", {**endpoint, "api_version": version or None})
    return redirect("/deliveries")


def delivery(world: World, key: str) -> Response:
    """One delivery: its attempts and what was sent."""
    found = world.store.get("delivery", key)
    event = world.store.get("event", found["event"]) if found else None
    if found is None or event is None:
        text = f"There is no delivery {key}."
        return page(world, "notice.html", status=404, title="Not found", text=text, link=("/deliveries", "Deliveries"))
    body = msgspec.json.format(encode(event), indent=2).decode()
    return page(world, "delivery.html", delivery=found, body=body)


def resend(world: World, key: str) -> Response:
    """Sends a delivery's event to its endpoint again."""
    found = world.store.get("delivery", key) or {}
    event = world.store.get("event", found.get("event", ""))
    endpoint = world.store.get("webhook_endpoint", found.get("endpoint", ""))
    if event and endpoint:
        return redirect(f"/deliveries/{world.deliveries.resend(event, endpoint)['id']}")
    return redirect("/deliveries")


def resend_event(world: World, key: str) -> Response:
    """Sends an event to every endpoint of its mode again, those made later too."""
    event = world.store.get("event", key)
    for endpoint in world.store.oldest("webhook_endpoint") if event else ():
        if event and endpoint["livemode"] == event["livemode"]:
            world.deliveries.resend(event, endpoint)
    return redirect("/deliveries")


def change_endpoint(world: World, key: str, request: Request) -> Response:
    """Disables, enables or deletes an endpoint."""
    endpoint = world.store.get("webhook_endpoint", key)
    answer = request.form().get("answer")
    if endpoint and answer == "delete":
        world.store.delete("webhook_endpoint", key)
    elif endpoint and answer in ("disable", "enable"):
        endpoint["status"] = f"{answer}d"
        world.store.put("webhook_endpoint", endpoint)
    return redirect("/deliveries")


def release(world: World, request: Request) -> Response:
    """Lets what is held go, in the order in which it was held or in reverse."""
    world.deliveries.release("reverse" if request.form().get("order") == "reverse" else "as_held")
    return redirect("/deliveries")


def faults(world: World) -> Response:
    """What is to go wrong, as a form."""
    present = world.faults
    typed = {name: str(getattr(present, name, 0)) for name in _NUMBERS} | {"drop_type": "", "error_status": "500"}
    if isinstance(present.drop, str):
        typed |= {"drop": "0", "drop_type": present.drop}
    waiting = [error for error in present.api_errors if error.count > 0]
    if waiting:
        typed |= {"error_count": str(waiting[0].count), "error_status": str(waiting[0].status)}
    return _form(world, typed, {name: getattr(present, name) for name in _SWITCHES}, {})


def set_faults(world: World, request: Request) -> Response:
    """Puts the form's faults in force, or none."""
    form = request.form()
    if form.get("answer") == "clear":
        world.faults = Faults()
        return redirect("/faults")
    typed = {name: form.get(name, "").strip() for name in (*_NUMBERS, "drop_type", "error_status")}
    on = {name: name in form for name in _SWITCHES}
    errors = {
        name: f"Enter a whole number from 0 to {most:,}."
        for name, (_, most) in _NUMBERS.items()
        if not (typed[name] or "0").isdecimal() or len(typed[name]) > 9 or int(typed[name] or "0") > most
    }
    if typed["error_status"] not in _ERRORS:
        errors["error_status"] = f"Choose one of {', '.join(_ERRORS)}."
    if errors:
        return _form(world, typed, on, errors)
    numbers = {name: int(typed[name] or "0") for name in _NUMBERS}
    count = numbers.pop("error_count")
    drop: int | str = typed["drop_type"] or numbers.pop("drop")
    failing = [ApiError(status=int(typed["error_status"]), count=count)] if count else []
    world.faults = Faults(
        drop=drop,
        delay_ms=numbers["delay_ms"],
        api_latency_ms=numbers["api_latency_ms"],
        api_calls_a_second=numbers["api_calls_a_second"],
        api_errors=failing,
        **on,
    )
    return redirect("/faults")


def _form(world: World, typed: dict[str, str], on: dict[str, bool], errors: dict[str, str]) -> Response:
    held = sum(1 for row in world.store.newest("delivery") if row["status"] == "held")
    in_force: Doc = {
        name: value for name, value in msgspec.to_builtins(world.faults).items() if value and name != "api_errors"
    }
    if any(error.count > 0 for error in world.faults.api_errors):
        in_force["api_errors"] = len(world.faults.api_errors)
    return page(
        world,
        "faults.html",
        status=400 if errors else 200,
        numbers=_NUMBERS,
        switches=_SWITCHES,
        statuses=_ERRORS,
        typed=typed,
        on=on,
        errors=errors,
        held=held,
        in_force=in_force,
    )
