"""The second step of signing in, for who signs in with a code too: between the two, a cookie proves the first for ten minutes."""

from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from tollhouse.identity import actions as identity
from tollhouse.identity.second_factor import PENDING_MS, CodeNeeded
from tollhouse.kernel.errors import TollhouseError
from tollhouse.pages.visiting import AnyRequest, Visit, local_path, read_form, receive
from tollhouse.web.entering import enter, form_page
from tollhouse.web.site import Site, TheSite

PENDING_COOKIE = "th_pending"
PATH = "/login/code"


def ask_for_code(site: Site, visit: Visit, needed: CodeNeeded, destination: str) -> Redirect:
    """On to the page that takes the code."""
    cookie = site.cookie(PENDING_COOKIE, needed.pending, PENDING_MS // 1000)
    return Redirect(f"{PATH}?{urlencode({'next': destination})}", status_code=303, cookies=[*visit.cookies, cookie])


def nothing_pending(site: Site) -> Cookie:
    """Takes the cookie away."""
    return site.cookie(PENDING_COOKIE, "", 0)


@get(PATH)
async def code_page(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """The form for the code; whoever has not given the password begins there."""
    visit = await receive(site, request)
    if visit.session:
        return Redirect(local_path(visit.shell.query.get("next"), "/app"), status_code=303)
    if not request.cookies.get(PENDING_COOKIE):
        return Redirect("/login", status_code=303)
    return form_page(site, visit, "code.html", visit.shell.query)


@post(PATH, status_code=200)
async def code_form(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """Open the session."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    house = site.house
    try:
        session = await identity.sign_in_with_code(
            house.store, house.identity, request.cookies.get(PENDING_COOKIE, ""), fields.get("code", ""), site.now(),
            house.store.clock.real_ms(), visitor=visit.visitor,
        )  # fmt: skip
    except TollhouseError as error:
        if error.code == "code_expired":
            return Redirect("/login?done=expired", status_code=303, cookies=[nothing_pending(site)])
        return form_page(site, visit, "code.html", {"next": fields.get("next", "")}, error)
    return enter(site, visit, session, local_path(fields.get("next"), "/app"), nothing_pending(site))
