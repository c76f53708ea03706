"""Stripe's events on pages: looked for, read without secrets, replayed one by one or all that match."""

import json

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.billing.actions import read_event, replay
from tollhouse.billing.counting import is_signature_refused
from tollhouse.billing.events import (
    MOST_COUNTED,
    STATUSES,
    EventFilter,
    count_events,
    find_events,
    masked_payload,
    owner_of_event,
    read_filter,
    replay_all,
)
from tollhouse.kernel.errors import InvalidRequest, NotFound
from tollhouse.pages.visiting import AnyRequest, read_form
from tollhouse.store import Tx

PAGE = 50
FIELDS = ("status", "type", "customer", "since", "until", "search")


def _asked(query: dict[str, str]) -> dict[str, str]:
    """What the page was asked for; without a status, what waits for somebody."""
    return dict.fromkeys(FIELDS, "") | {"status": "parked"} | {name: query[name] for name in FIELDS if query.get(name)}


async def _count(tx: Tx, wanted: EventFilter) -> int | None:
    """How many; unknown where something is searched for: to count is to read all of it."""
    return None if wanted.search else await count_events(tx, wanted)


@get("/admin/webhooks")
async def events_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """Stripe's events: what is parked waits for somebody here."""
    visit = await receive_staff(office, request)
    query = visit.shell.query
    asked, wrong, events, recent = _asked(query), None, [], False
    total: int | None = 0
    refused = False
    try:
        async with office.house.store.reading() as tx:
            refused = await is_signature_refused(tx, office.now())
            wanted = read_filter(asked, office.now())
            recent = wanted.recent
            events = await find_events(tx, wanted, before=query.get("before", ""), most=PAGE + 1)
            total = await _count(tx, wanted)
    except (InvalidRequest, NotFound) as error:
        wrong = error
    done = query.get("done", "")
    values = {
        "events": events[:PAGE],
        "next": events[PAGE - 1].place if len(events) > PAGE else "",
        "asked": asked,
        "filtered": any(asked[name] for name in FIELDS[1:]),
        "wrong": wrong,
        "total": total,
        "many": total is not None and total >= MOST_COUNTED,
        "recent": recent,
        "refused": refused,
        "statuses": (*STATUSES, "all"),
        "done": int(done) if done.isdecimal() and len(done) < 10 else None,
    }
    return office.pages.render("events.html", visit.shell, values, cookies=visit.cookies)


@get("/admin/webhooks/replay")
async def replay_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """How many match, before all of them are handled again."""
    visit = await receive_staff(office, request)
    asked = _asked(visit.shell.query)
    async with office.house.store.reading() as tx:
        wanted = read_filter(asked, office.now())
        total = await _count(tx, wanted)
    values = {
        "asked": asked, "total": total, "many": total is not None and total >= MOST_COUNTED, "recent": wanted.recent,
    }  # fmt: skip
    return office.pages.render("events_replay.html", visit.shell, values, cookies=visit.cookies)


@post("/admin/webhooks/replay", status_code=303)
async def replay_all_form(office: TheOffice, request: AnyRequest) -> Redirect:
    """Handle every event again that matches."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    number = await replay_all(office.house.store, read_filter(_asked(fields), office.now()))
    office.house.bells.inbox.set()
    return Redirect(f"/admin/webhooks?status=pending&done={number}", status_code=303)


@get("/admin/webhooks/{event:str}")
async def event_page(office: TheOffice, request: AnyRequest, event: FromPath[str]) -> Response[str]:
    """One event with its error and what it said, without secrets and card details."""
    visit = await receive_staff(office, request)
    async with office.house.store.reading() as tx:
        found = await read_event(tx, event)
        owner = await owner_of_event(tx, found.subject)
    payload = masked_payload(found.payload)
    text = payload if isinstance(payload, str) else json.dumps(payload, indent=2, ensure_ascii=False)
    values = {"event": found, "payload": text, "owner": owner}
    return office.pages.render("event.html", visit.shell, values, cookies=visit.cookies)


@post("/admin/webhooks/{event:str}/replay", status_code=303)
async def replay_form(office: TheOffice, request: AnyRequest, event: FromPath[str]) -> Redirect:
    """Handle the event again."""
    visit = await receive_staff(office, request)
    await read_form(office, request, visit)
    async with office.house.store.transaction() as tx:
        await replay(tx, event, office.now())
    office.house.bells.inbox.set()
    return Redirect("/admin/webhooks?done=1", status_code=303)


HANDLERS = (events_page, replay_page, replay_all_form, event_page, replay_form)
