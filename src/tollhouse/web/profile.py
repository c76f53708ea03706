"""The user's own settings: name, language, password, sessions."""

from litestar import Response, get, post
from litestar.response import Redirect

from tollhouse.customers.language import choose_language
from tollhouse.identity import actions as identity
from tollhouse.kernel.errors import TollhouseError
from tollhouse.pages import texts_in
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, receive, refusal_status
from tollhouse.pages.words import error_words
from tollhouse.web.account import load
from tollhouse.web.site import Site, TheSite
from tollhouse.web.views import browser_name


@get("/app/settings")
async def settings_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """What the user may change about themselves."""
    return await _page(site, await receive(site, request))


@post("/app/settings/profile", status_code=303)
async def profile_form(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """Set name and language."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    user = visit.signed_in.user
    try:
        async with site.house.store.transaction() as tx:
            await identity.change_profile(tx, user.id, name=fields.get("name", ""), locale=fields.get("locale", ""))
            await choose_language(tx, user.id, fields.get("locale", ""), site.now())
    except TollhouseError as error:
        return await _page(site, visit, error)
    return Redirect("/app/settings?done=profile", status_code=303)


@post("/app/settings/password", status_code=303)
async def password_form(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """Set a new password; the other sessions end."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    house = site.house
    try:
        await identity.change_password(
            house.store, house.identity, visit.signed_in, fields.get("present", ""), fields.get("password", ""),
            site.now(), visitor=visit.visitor,
        )  # fmt: skip
    except TollhouseError as error:
        return await _page(site, visit, error)
    return Redirect("/app/settings?done=password", status_code=303)


@post("/app/settings/sessions", status_code=303)
async def sessions_form(site: TheSite, request: AnyRequest) -> Redirect:
    """End one other session, or all of them."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    session = visit.signed_in
    async with site.house.store.transaction() as tx:
        if fields.get("session"):
            await identity.revoke_session(tx, session.user.id, fields["session"], site.now())
        else:
            await identity.revoke_sessions(tx, session.user.id, site.now(), but=session.id)
    return Redirect("/app/settings?done=sessions", status_code=303)


async def _page(site: Site, visit: Visit, error: TollhouseError | None = None) -> Response[str]:
    session = visit.signed_in
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
        sessions = await identity.list_sessions(tx, session.user.id, site.now())
    texts = texts_in(visit.shell.locale)
    values = account.frame | {
        "user": session.user,
        "sessions": [(session, browser_name(session.agent, texts)) for session in sessions],
        "present_session": session.id,
        "error": error_words(error, texts) if error else "",
        "failed": error.code if error else "",
        "done": visit.shell.query.get("done", ""),
    }
    status = refusal_status(error) if error else 200
    return site.pages.render("settings.html", visit.shell, values, status=status, cookies=visit.cookies)
