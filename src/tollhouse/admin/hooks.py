"""Webhooks out, on pages: endpoints, what was sent to each, every attempt; add, rotate, disable, remove, test, replay."""

from collections.abc import Awaitable, Callable

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tollhouse.admin.site import Office, TheOffice, receive_staff
from tollhouse.alerts.hooks import actions
from tollhouse.alerts.hooks.events import EVENTS
from tollhouse.alerts.hooks.model import KEPT_MS, MOST_ENDPOINTS, STATUSES, Endpoint
from tollhouse.alerts.hooks.opening import open_hooks
from tollhouse.alerts.hooks.spreading import readable
from tollhouse.kernel.clock import DAY, HOUR
from tollhouse.kernel.errors import InvalidRequest, TollhouseError
from tollhouse.kernel.ids import is_id
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, refusal_status
from tollhouse.store import Tx

PAGE = 50
COUNTED_MS = 7 * DAY
OVERLAPS = {"0": 0, "1": HOUR, "24": DAY, "168": 7 * DAY}
"""Hours that a secret goes on signing after it was changed."""
SINCE = {"1": HOUR, "24": DAY, "72": 3 * DAY, "720": KEPT_MS}
"""Hours of failed deliveries that are sent again."""


class Line(msgspec.Struct, frozen=True):
    """An endpoint with what became of the last seven days' deliveries."""

    endpoint: Endpoint
    counts: dict[str, int]


@get("/admin/hooks")
async def hooks_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """Every endpoint, and the form for another."""
    return await _endpoints(office, await receive_staff(office, request), {})


@post("/admin/hooks")
async def add_form(office: TheOffice, request: AnyRequest) -> Response[str]:
    """Another endpoint; the page that answers shows its secret, this once."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    hooks = open_hooks(office.settings)
    events = tuple(name.removeprefix("event:") for name in fields if name.startswith("event:"))
    try:
        async with office.house.store.transaction() as tx:
            added = await actions.add_endpoint(
                tx, hooks.vault, hooks.reach, fields.get("url", ""), events=events,
                description=fields.get("description", ""), by_whom=visit.signed_in.user.email, now=office.now(),
            )  # fmt: skip
    except TollhouseError as error:
        return await _endpoints(office, visit, fields, error)
    return office.pages.render(
        "hook_secret.html", visit.shell, {"added": added, "rotated": False}, cookies=visit.cookies
    )


@get("/admin/hooks/{endpoint:str}")
async def hook_page(office: TheOffice, request: AnyRequest, endpoint: FromPath[str]) -> Response[str]:
    """One endpoint: how it is, what can be done with it, and its deliveries by status."""
    return await _endpoint(office, await receive_staff(office, request), endpoint)


@get("/admin/hooks/{endpoint:str}/{event:str}")
async def delivery_page(
    office: TheOffice, request: AnyRequest, endpoint: FromPath[str], event: FromPath[str]
) -> Response[str]:
    """One delivery: every attempt with its answer, and the body that is sent."""
    visit = await receive_staff(office, request)
    async with office.house.store.reading() as tx:
        delivery, payload, attempts = await actions.read_delivery(tx, endpoint, event)
        found = await actions.read_endpoint(tx, endpoint)
    values = {
        "endpoint": found, "delivery": delivery, "attempts": attempts, "payload": readable(payload),
        "done": visit.shell.query.get("done", ""),
    }  # fmt: skip
    return office.pages.render("hook_delivery.html", visit.shell, values, cookies=visit.cookies)


@post("/admin/hooks/{endpoint:str}/{event:str}/replay", status_code=303)
async def replay_one_form(
    office: TheOffice, request: AnyRequest, endpoint: FromPath[str], event: FromPath[str]
) -> Response[str] | Redirect:
    """Send one event again."""

    async def work(tx: Tx, fields: dict[str, str]) -> str:
        await actions.replay_delivery(tx, endpoint, event, office.now())
        return f"/admin/hooks/{endpoint}/{event}?done=replayed"

    return await _change(office, request, endpoint, work)


@post("/admin/hooks/{endpoint:str}/rotate")
async def rotate_form(office: TheOffice, request: AnyRequest, endpoint: FromPath[str]) -> Response[str]:
    """Another secret, shown this once. The form names the one that it changes: sent twice it changes one."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    hooks = open_hooks(office.settings)
    try:
        async with office.house.store.transaction() as tx:
            added = await actions.rotate_secret(
                tx, hooks.vault, endpoint, overlap_ms=_chosen(OVERLAPS, fields.get("overlap", "")), now=office.now(),
                secret_at=_number(fields.get("secret_at", "")),
            )  # fmt: skip
    except TollhouseError as error:
        return await _endpoint(office, visit, endpoint, error)
    return office.pages.render(
        "hook_secret.html", visit.shell, {"added": added, "rotated": True}, cookies=visit.cookies
    )


@post("/admin/hooks/{endpoint:str}/change", status_code=303)
async def change_form(office: TheOffice, request: AnyRequest, endpoint: FromPath[str]) -> Response[str] | Redirect:
    """The buttons of an endpoint's page: test, replay, disable, enable, remove."""

    async def work(tx: Tx, fields: dict[str, str]) -> str:
        done = fields.get("do", "")
        now = office.now()
        if done == "test":
            return f"/admin/hooks/{endpoint}/{await actions.put_test(tx, endpoint, now)}?done=sent"
        if done == "replay":
            number = await actions.replay_failed(tx, endpoint, now - _chosen(SINCE, fields.get("since", "")), now)
            return f"/admin/hooks/{endpoint}?status=waiting&done=replayed&number={number}"
        if done == "enable":
            enabled = await actions.enable_endpoint(tx, endpoint)
            return f"/admin/hooks/{endpoint}?done=enabled&number={enabled.missed}"
        if done == "disable":
            why = fields.get("why", "").strip() or visit_of(request).signed_in.user.email
            await actions.disable_endpoint(tx, endpoint, why, now)
            return f"/admin/hooks/{endpoint}?done=disabled"
        if done == "remove":
            await actions.remove_endpoint(tx, endpoint)
            return "/admin/hooks?done=removed"
        raise InvalidRequest("the form names nothing to do", code="invalid_hook", fix="use a button of the page")

    return await _change(office, request, endpoint, work)


def visit_of(request: AnyRequest) -> Visit:
    """The visit that `receive_staff` has understood."""
    found: Visit = request.state.visit
    return found


async def _change(
    office: Office, request: AnyRequest, endpoint: str, work: Callable[[Tx, dict[str, str]], Awaitable[str]]
) -> Response[str] | Redirect:
    """Do it and lead on; what is refused is said on the endpoint's page."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    try:
        async with office.house.store.transaction() as tx:
            path = await work(tx, fields)
    except TollhouseError as error:
        return await _endpoint(office, visit, endpoint, error)
    office.house.bells.hooks.set()
    return Redirect(path, status_code=303)


async def _endpoints(
    office: Office, visit: Visit, fields: dict[str, str], error: TollhouseError | None = None
) -> Response[str]:
    since = office.now() - COUNTED_MS
    async with office.house.store.reading() as tx:
        lines = [Line(one, await actions.counts_of(tx, one.id, since)) for one in await actions.list_endpoints(tx)]
    values: dict[str, object] = {
        "lines": lines,
        "totals": {status: sum(line.counts[status] for line in lines) for status in STATUSES},
        "events": EVENTS,
        "fields": fields,
        "error": error,
        "room": len(lines) < MOST_ENDPOINTS,
        "done": visit.shell.query.get("done", ""),
    }
    return office.pages.render("hooks.html", visit.shell, values, status=_status(error), cookies=visit.cookies)


async def _endpoint(office: Office, visit: Visit, endpoint: str, error: TollhouseError | None = None) -> Response[str]:
    query = visit.shell.query
    status = query.get("status", "")
    async with office.house.store.reading() as tx:
        found = await actions.read_endpoint(tx, endpoint)
        deliveries = await actions.list_deliveries(
            tx, endpoint, status=status if status in STATUSES else None, before=_place(query.get("before", "")),
            most=PAGE + 1,
        )  # fmt: skip
        counts = await actions.counts_of(tx, endpoint, office.now() - COUNTED_MS)
    last = deliveries[PAGE - 1] if len(deliveries) > PAGE else None
    values: dict[str, object] = {
        "endpoint": found,
        "counts": counts,
        "deliveries": deliveries[:PAGE],
        "next": f"{last.created_at}.{last.event}" if last is not None else "",
        "status": status if status in STATUSES else "",
        "both_sign": found.old_secret_until is not None and found.old_secret_until > office.now(),
        "error": error,
        "done": query.get("done", ""),
        "number": _number(query.get("number", "")) or 0,
    }
    return office.pages.render("hook.html", visit.shell, values, status=_status(error), cookies=visit.cookies)


def _status(error: TollhouseError | None) -> int:
    return 200 if error is None else refusal_status(error)


def _chosen(choices: dict[str, int], name: str) -> int:
    if name not in choices:
        raise InvalidRequest(
            "the form names no span of time", code="invalid_hook", fix="choose one of those on the page"
        )
    return choices[name]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _place(text: str) -> tuple[int, str] | None:
    at, _, event = text.partition(".")
    moment = _number(at)
    return (moment, event) if moment is not None and is_id(event, "evt") else None


HANDLERS = (hooks_page, add_form, hook_page, delivery_page, replay_one_form, rotate_form, change_form)
