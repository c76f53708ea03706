"""What the sandbox shows of itself: objects, events, deliveries, the clock."""

import msgspec

from tollhouse_sandbox.billing import agenda
from tollhouse_sandbox.billing.periods import boundary
from tollhouse_sandbox.documents import encode
from tollhouse_sandbox.http import Request, Response, redirect
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.world import INTERNAL, World

_STEPS = {"day": ("day", 1), "month": ("month", 1), "year": ("year", 1)}


def index(world: World) -> Response:
    """The overview."""
    kinds = [(kind, world.store.count(kind)) for kind in world.store.kinds() if kind not in INTERNAL]
    waiting = sum(1 for delivery in world.store.newest("delivery") if delivery["status"] in ("pending", "held"))
    return page(
        world,
        "index.html",
        kinds=kinds,
        events=world.store.count("event"),
        deliveries=world.store.count("delivery"),
        waiting=waiting,
        mails=world.store.count("mail"),
        offset=world.clock.offset_seconds,
        latest=[event for event, _ in zip(world.store.newest("event"), range(12), strict=False)],
    )


def advance(world: World, request: Request) -> Response:
    """Moves the clock on by a day, a month or a year."""
    interval, count = _STEPS.get(request.form().get("by", "month"), ("month", 1))
    agenda.advance(world, boundary(world.clock.now(), interval, count, 1))
    return redirect("/")


def objects(world: World, kind: str) -> Response:
    """Every object of a kind."""
    rows = [row for row, _ in zip(world.store.newest(kind), range(200), strict=False)] if kind not in INTERNAL else []
    return page(world, "objects.html", kind=kind, rows=rows, total=world.store.count(kind))


def one(world: World, kind: str, key: str) -> Response:
    """One object as JSON."""
    document = world.store.get(kind, key) if kind not in INTERNAL - {"event", "delivery"} else None
    if document is None:
        text = f"There is no {kind} {key}."
        return page(world, "notice.html", status=404, title="Not found", text=text, link=("/", "Overview"))
    body = msgspec.json.format(encode(document), indent=2).decode()
    return page(world, "object.html", kind=kind, key=key, body=body)


def events(world: World, request: Request) -> Response:
    """The latest events."""
    rows = [event for event, _ in zip(world.store.newest("event"), range(300), strict=False)]
    return page(world, "events.html", rows=rows, total=world.store.count("event"))
