"""Tools: what each costs, launching one, and the page with its frame (rows A4 and A6)."""

import secrets

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tollhouse.admission import tools as sessions
from tollhouse.admission.model import Answer
from tollhouse.admission.tools import ToolSession
from tollhouse.catalog.model import Tool
from tollhouse.kernel.errors import InvalidRequest, NotFound
from tollhouse.kernel.ids import is_id
from tollhouse.ledger.views import Amount
from tollhouse.pages import origin_of, texts_in
from tollhouse.pages.texts import N_, Texts
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, receive
from tollhouse.web.account import customer_of, load
from tollhouse.web.offers import costs, tool_offers
from tollhouse.web.site import Site, TheSite

LONGEST_KEY = 80


class Obstacle(msgspec.Struct, frozen=True):
    """Why a tool cannot be launched now, in the reader's words; `plan` would allow it."""

    code: str
    title: str
    text: str
    plan: str | None = None
    plan_title: str = ""


@get("/app/tools")
async def tools_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """Every tool with its cost, and what is left."""
    visit = await receive(site, request)
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
        recent = await sessions.recent(tx, account.customer, most=10)
    values = account.frame | {
        "tools": tool_offers(site.house.catalog),
        "main_meters": [card for card in account.meters if card.kind in ("credits", "quota")],
        "running": {session.tool: session for session in reversed(recent) if session.ended_at is None},
    }
    return site.pages.render("tools.html", visit.shell, values, cookies=visit.cookies)


@get("/app/tools/{name:str}")
async def tool_page(site: TheSite, request: AnyRequest, name: FromPath[str]) -> Response[str]:
    """The tool with its launch button; with `?session=` of a running one, its frame."""
    return await _tool_page(site, await receive(site, request), _tool(site, name))


@post("/app/tools/{name:str}", status_code=303)
async def launch_form(site: TheSite, request: AnyRequest, name: FromPath[str]) -> Response[str] | Redirect:
    """Debit and open, once per key of the form; a refusal shows the page with its dialog."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    tool, user = _tool(site, name), visit.signed_in.user
    key = fields.get("key", "")
    if not (8 <= len(key) <= LONGEST_KEY and key.isascii() and key.isalnum()):
        raise InvalidRequest("the form has no key", code="form_expired", fix="load the page again")
    async with site.house.store.reading() as tx:
        customer = await customer_of(tx, user)
    launched = await sessions.launch(site.house.admission, customer, user.id, tool, f"page-{key}")
    if launched.session is None:
        return await _tool_page(site, visit, tool, launched.answer)
    return Redirect(f"/app/tools/{tool.name}?session={launched.session.id}", status_code=303)


@post("/app/tools/{name:str}/end", status_code=303)
async def end_form(site: TheSite, request: AnyRequest, name: FromPath[str]) -> Redirect:
    """The session is over."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    tool, session = _tool(site, name), fields.get("session", "")
    if not is_id(session, "ses"):
        raise NotFound("there is no such session", code="session_not_found", fix="launch the tool")
    async with site.house.store.transaction() as tx:
        customer = await customer_of(tx, visit.signed_in.user)
        await sessions.end(tx, site.house.admission, customer, session, site.now())
    site.house.admission.forget(customer)
    return Redirect(f"/app/tools/{tool.name}?done=ended", status_code=303)


@get("/app/tools/{name:str}/frame")
async def frame_page(site: TheSite, request: AnyRequest, name: FromPath[str]) -> Response[str]:
    """What stands in the frame of a tool that has no page of its own. Only for a running session."""
    visit = await receive(site, request)
    tool = _tool(site, name)
    session = await _running(site, visit, tool)
    if session is None:
        raise NotFound("this session has ended", code="session_not_found", fix="launch the tool again")
    values = {"tool": tool, "session": session}
    return site.pages.render("frame.html", visit.shell, values, framed=True, cookies=visit.cookies)


async def _tool_page(site: Site, visit: Visit, tool: Tool, refused: Answer | None = None) -> Response[str]:
    session = await _running(site, visit, tool)
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
        recent = [s for s in await sessions.recent(tx, account.customer, most=50) if s.tool == tool.name]
    answer = refused or await site.house.admission.check(
        account.customer, site.house.admission.prices.charge(tool.action)
    )
    obstacle = None if answer.allowed else _obstacle(site, answer, texts_in(visit.shell.locale))
    address = tool.frame_url or f"/app/tools/{tool.name}/frame?session={session.id if session else ''}"
    values = account.frame | {
        "tool": tool,
        "cost": costs(site.house.catalog, tool.action),
        "key": secrets.token_hex(16),
        "obstacle": obstacle,
        "ask": obstacle is not None and (session is None or refused is not None),
        "session": session,
        "frame_address": address,
        "open_elsewhere": next((s for s in recent if s.ended_at is None), None) if session is None else None,
        "sessions": recent[:8],
        "main_meters": [card for card in account.meters if card.kind in ("credits", "quota")],
        "done": visit.shell.query.get("done", ""),
    }
    frames = (origin_of(address) or "'self'",) if session else ()
    status = 403 if refused else 200
    return site.pages.render("tool.html", visit.shell, values, status=status, frames=frames, cookies=visit.cookies)


async def _running(site: Site, visit: Visit, tool: Tool) -> ToolSession | None:
    """The running session that the address names, when it is this customer's and this tool's."""
    named = visit.shell.query.get("session", "")
    if not is_id(named, "ses"):
        return None
    async with site.house.store.reading() as tx:
        customer = await customer_of(tx, visit.signed_in.user)
        try:
            session = await sessions.read(tx, customer, named)
        except NotFound:
            return None
    return session if session.tool == tool.name and session.ended_at is None else None


def _tool(site: Site, name: str) -> Tool:
    tool = site.house.catalog.tools.get(name)
    if tool is None:
        raise NotFound(f"there is no tool {name}", code="tool_not_found", fix="choose one on /app/tools")
    return tool


_OBSTACLES = {
    "credits_exhausted": (N_("Credits exhausted"), N_("This needs %(needed)s %(label)s, and %(remaining)s are left.")),
    "quota_exhausted": (N_("Nothing left this period"), N_("Your plan's amount for this period is used up.")),
    "rate_limited": (N_("One moment"), N_("That was too fast. Wait a moment and try again.")),
    "concurrency_exhausted": (N_("All places are taken"), N_("End a running session first.")),
    "count_exhausted": (N_("No more of them"), N_("Your plan allows no more of them.")),
    "plan_lacks_action": (N_("Not in your plan"), N_("Your plan does not include this.")),
    "subscription_past_due": (N_("A payment is missing"), N_("Pay the open invoice to go on.")),
    "customer_blocked": (N_("This account is blocked"), N_("Write to support.")),
}


def _obstacle(site: Site, answer: Answer, texts: Texts) -> Obstacle:
    reason = answer.reason
    code = reason.code if reason else "plan_lacks_action"
    title, text = _OBSTACLES.get(code, _OBSTACLES["plan_lacks_action"])
    meter = site.house.catalog.meters.get(reason.meter) if reason and reason.meter else None
    shown: dict[str, object] = {
        "needed": _amount(reason.needed if reason else None),
        "remaining": _amount(reason.remaining if reason else None),
        "label": (meter.label or meter.name) if meter else "",
    }
    if reason and reason.verify_email:
        return Obstacle(
            code,
            texts(N_("Confirm your e-mail address")),
            texts(N_("Your credits wait for it. Open the link that we have sent you.")),
        )
    better = site.house.catalog.plans.get(reason.upgrade.plan) if reason and reason.upgrade else None
    words = texts(text, **shown)
    return Obstacle(code, texts(title), words, better.plan if better else None, better.title if better else "")


def _amount(value: Amount | None) -> str:
    return "0" if value is None else str(value)
