"""Maintenance, Stripe's events parked, and the roll-back of Stripe, on one page: how it stands, buttons, and what was."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from litestar import Response, get, post
from litestar.response import Redirect

from tollhouse.admin.site import Office, TheOffice, receive_staff
from tollhouse.billing import maintenance
from tollhouse.billing.rollback import Options
from tollhouse.kernel.errors import TollhouseError
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, refusal_status

PATH = "/admin/maintenance"
TIMES = ("15m", "30m", "1h", "2h", "4h", "12h", "1d")
USUAL_FIELDS = {"for": "1h", "rollback-for": "1h", "endpoints": "on", "pausing": "on", "backup": "on"}
ON = "on"

Answer: TypeAlias = Response[str] | Redirect
Fields: TypeAlias = dict[str, str]


@get(PATH)
async def maintenance_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """How all three stand."""
    return await _page(office, await receive_staff(office, request), USUAL_FIELDS)


@post(PATH, status_code=303)
async def on_form(office: TheOffice, request: AnyRequest) -> Answer:
    """Pause new subscriptions and purchases."""

    async def work(who: str, fields: Fields) -> str:
        lasts_ms = maintenance.lasting(fields.get("for", ""))
        async with office.house.store.transaction() as tx:
            reason = fields.get("reason", "")
            await maintenance.switch_on(tx, by_whom=who, reason=reason, lasts_ms=lasts_ms, now=office.now())
        return "on"

    return await _done(office, request, work)


@post(f"{PATH}/off", status_code=303)
async def off_form(office: TheOffice, request: AnyRequest) -> Answer:
    """Sell again."""

    async def work(who: str, fields: Fields) -> str:
        async with office.house.store.transaction() as tx:
            await maintenance.switch_off(tx, by_whom=who, now=office.now())
        return "off"

    return await _done(office, request, work)


@post(f"{PATH}/pause", status_code=303)
async def pause_form(office: TheOffice, request: AnyRequest) -> Answer:
    """Park Stripe's events."""

    async def work(who: str, fields: Fields) -> str:
        await office.house.operations.pause(by_whom=who, reason=fields.get("pause-reason", ""))
        return "paused"

    return await _done(office, request, work)


@post(f"{PATH}/resume", status_code=303)
async def resume_form(office: TheOffice, request: AnyRequest) -> Answer:
    """Apply what was parked, and prove it."""

    async def work(who: str, fields: Fields) -> str:
        return "resumed" if await office.house.operations.resume(by_whom=who) else "goes_on"

    return await _done(office, request, work)


@post(f"{PATH}/rollback", status_code=303)
async def rollback_form(office: TheOffice, request: AnyRequest) -> Answer:
    """Roll Stripe back, or go on with it."""

    async def work(who: str, fields: Fields) -> str:
        options = Options(
            fields.get("endpoints") == ON, fields.get("pausing") == ON, fields.get("backup") == ON,
            fields.get("letters") == ON, maintenance.lasting(fields.get("rollback-for", "")),
        )  # fmt: skip
        done = await office.house.operations.roll_back(options, by_whom=who, typed=fields.get("typed", ""))
        return "rolled_back" if done else "goes_on"

    return await _done(office, request, work)


@post(f"{PATH}/undo", status_code=303)
async def undo_form(office: TheOffice, request: AnyRequest) -> Answer:
    """Undo the roll-back."""

    async def work(who: str, fields: Fields) -> str:
        done = await office.house.operations.undo(by_whom=who, typed=fields.get("typed", ""))
        return "undone" if done else "goes_on"

    return await _done(office, request, work)


async def _done(office: Office, request: AnyRequest, work: Callable[[str, Fields], Awaitable[str]]) -> Answer:
    """The page again, with a word about what was done, or with the error and what was typed."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    try:
        done = await work(visit.signed_in.user.email, fields)
    except TollhouseError as error:
        return await _page(office, visit, {"for": "1h", "rollback-for": "1h", **fields}, error)
    office.house.bells.inbox.set()
    return Redirect(f"{PATH}?done={done}", status_code=303)


async def _page(office: Office, visit: Visit, fields: Fields, error: TollhouseError | None = None) -> Response[str]:
    values: dict[str, object] = {
        "state": await office.house.operations.state(),
        "fields": fields,
        "error": error,
        "times": [(text, maintenance.lasting(text)) for text in TIMES],
        "ready": office.house.stripe is not None,
        "environment": office.settings.environment,
        "done": visit.shell.query.get("done", "") if error is None else "",
    }
    status = 200 if error is None else refusal_status(error)
    return office.pages.render("maintenance.html", visit.shell, values, status=status, cookies=visit.cookies)


HANDLERS = (maintenance_page, on_form, off_form, pause_form, resume_form, rollback_form, undo_form)
