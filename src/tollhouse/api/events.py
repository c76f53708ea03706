"""`/v1/admin/webhooks`: Stripe's events as JSON, for staff and their machines."""

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from tollhouse.api.answers import TheHouse
from tollhouse.api.sessions import AnyRequest
from tollhouse.api.staff import staff_caller
from tollhouse.billing.actions import read_event, replay
from tollhouse.billing.events import EventView, find_events, masked_payload, read_filter, replay_all, view_event
from tollhouse.kernel.errors import InvalidRequest

PATH = "/v1/admin/webhooks"
LARGEST_PAGE = 500


class EventPage(msgspec.Struct, frozen=True):
    """The newest first; `next` is given as `before` for the page that follows, null at the end."""

    items: list[EventView]
    next: str | None


class EventAnswer(msgspec.Struct, frozen=True):
    """One event; `payload` is what Stripe sent, without secrets and card details."""

    event: EventView
    payload: object


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events: what is left out asks for nothing; without a `status`, those that are parked."""

    status: str = "parked"
    type: str = ""
    customer: str = ""
    since: str = ""
    until: str = ""
    search: str = ""


class Replayed(msgspec.Struct, frozen=True):
    """How many are handled again."""

    replayed: int


@get(PATH, include_in_schema=False)
async def list_webhooks(house: TheHouse, request: AnyRequest) -> EventPage:
    """Events by `status`, `type`, `customer`, `since`, `until`, `search`, paged by `before` and `limit`."""
    await staff_caller(house, request)
    query = {name: str(value) for name, value in request.query_params.items()}
    limit = query.get("limit", "50")
    if not limit.isdecimal() or not 1 <= int(limit[:9]) <= LARGEST_PAGE:
        raise InvalidRequest(f"limit is a whole number from 1 to {LARGEST_PAGE}", fix="leave it out for 50")
    async with house.store.reading() as tx:
        found = await find_events(
            tx, read_filter(query, house.store.clock.now_ms()), before=query.get("before", ""), most=int(limit) + 1
        )
    page = found[: int(limit)]
    return EventPage([view_event(event) for event in page], page[-1].place if len(found) > len(page) else None)


@get(PATH + "/{event:str}", include_in_schema=False)
async def show_webhook(house: TheHouse, request: AnyRequest, event: FromPath[str]) -> EventAnswer:
    """One event with its payload."""
    await staff_caller(house, request)
    async with house.store.reading() as tx:
        found = await read_event(tx, event)
    return EventAnswer(view_event(found), masked_payload(found.payload))


@post(PATH + "/{event:str}/replay", status_code=200, include_in_schema=False)
async def replay_webhook(house: TheHouse, request: AnyRequest, event: FromPath[str]) -> Replayed:
    """Handle one again; 0 when it waits for that anyway."""
    await staff_caller(house, request)
    async with house.store.transaction() as tx:
        again = await replay(tx, event, house.store.clock.now_ms())
    house.bells.inbox.set()
    return Replayed(int(again))


@post(PATH + "/replay", status_code=200, include_in_schema=False)
async def replay_webhooks(house: TheHouse, request: AnyRequest, data: JSONBody[ReplayRequest]) -> Replayed:
    """Handle every event again that matches."""
    await staff_caller(house, request)
    wanted = read_filter(msgspec.structs.asdict(data), house.store.clock.now_ms())
    number = await replay_all(house.store, wanted)
    house.bells.inbox.set()
    return Replayed(number)


def event_routes() -> list[HTTPRouteHandler]:
    """The handlers, for the application."""
    return [list_webhooks, show_webhook, replay_webhook, replay_webhooks]
