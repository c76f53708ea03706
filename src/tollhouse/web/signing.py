"""Signing up, in and out, and the two links that e-mails carry."""

from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.response import Redirect

from tollhouse.customers.actions import reset_password, sign_up, verify_email
from tollhouse.customers.model import SignUp
from tollhouse.identity import actions as identity
from tollhouse.identity.second_factor import CodeNeeded
from tollhouse.kernel.errors import TollhouseError
from tollhouse.pages.visiting import SESSION_COOKIE, AnyRequest, local_path, read_form, receive
from tollhouse.web.entering import enter, form_page
from tollhouse.web.second_step import ask_for_code
from tollhouse.web.site import TheSite


def _destination(fields: dict[str, str]) -> str:
    if fields.get("plan"):
        chosen = {"plan": fields["plan"], "every": fields.get("every", ""), "currency": fields.get("currency", "")}
        return "/pricing?" + urlencode({name: value for name, value in chosen.items() if value or name == "every"})
    return local_path(fields.get("next"), "/app")


@get("/signup")
async def sign_up_page(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """The form to sign up."""
    visit = await receive(site, request)
    if visit.session:
        return Redirect(_destination(visit.shell.query), status_code=303)
    return form_page(site, visit, "signup.html", visit.shell.query)


@post("/signup", status_code=200)
async def sign_up_form(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """Make user, customer, account and grant at once, and sign in."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    house = site.house
    form = SignUp(fields.get("email", ""), fields.get("name", ""), "", visit.shell.locale)
    try:
        made = await sign_up(
            house.store,
            house.identity,
            house.catalog,
            form,
            fields.get("password", ""),
            site.now(),
            visitor=visit.visitor,
        )
    except TollhouseError as error:
        return form_page(site, visit, "signup.html", fields, error)
    house.bells.outbox.set()
    return enter(site, visit, made.session, _destination(fields))


@get("/login")
async def sign_in_page(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """The form to sign in."""
    visit = await receive(site, request)
    if visit.session:
        return Redirect(_destination(visit.shell.query), status_code=303)
    return form_page(site, visit, "login.html", visit.shell.query)


@post("/login", status_code=200)
async def sign_in_form(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """Open a session."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    house = site.house
    try:
        session = await identity.sign_in(
            house.store, house.identity, fields.get("email", ""), fields.get("password", ""), site.now(),
            visitor=visit.visitor,
        )  # fmt: skip
    except CodeNeeded as needed:
        return ask_for_code(site, visit, needed, _destination(fields))
    except TollhouseError as error:
        return form_page(site, visit, "login.html", fields, error)
    return enter(site, visit, session, _destination(fields))


@post("/logout", status_code=303)
async def sign_out_form(site: TheSite, request: AnyRequest) -> Redirect:
    """End the session."""
    visit = await receive(site, request)
    await read_form(site, request, visit)
    if visit.token:
        async with site.house.store.transaction() as tx:
            await identity.sign_out(tx, site.house.identity, visit.token, site.now())
    return Redirect("/", status_code=303, cookies=[site.cookie(SESSION_COOKIE, "", 0)])


@get("/verify")
async def verify_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """The link of the e-mail. A button confirms, because mail programs open links before people do."""
    visit = await receive(site, request)
    return form_page(site, visit, "verify.html", visit.shell.query, done=False)


@post("/verify", status_code=200)
async def verify_form(site: TheSite, request: AnyRequest) -> Response[str]:
    """The address is proven."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    house = site.house
    signed_in = visit.session.user.id if visit.session else None
    try:
        async with house.store.transaction() as tx:
            proven = await verify_email(
                tx, house.identity, house.catalog, fields.get("token", ""), site.now(), signed_in=signed_in
            )
    except TollhouseError as error:
        return form_page(site, visit, "verify.html", fields, error, done=False)
    if proven.customer:
        house.admission.forget(proven.customer)
    house.bells.outbox.set()
    return form_page(site, visit, "verify.html", {}, done=True)


@post("/verify/again", status_code=303)
async def verify_again(site: TheSite, request: AnyRequest) -> Redirect:
    """Send the link once more."""
    visit = await receive(site, request)
    await read_form(site, request, visit)
    async with site.house.store.transaction() as tx:
        await identity.resend_verification(
            tx, site.house.identity, visit.signed_in.user, site.now(), visitor=visit.visitor
        )
    site.house.bells.outbox.set()
    return Redirect("/app?done=sent", status_code=303)


@get("/reset")
async def reset_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """Ask for a link, or, with one, type a new password."""
    visit = await receive(site, request)
    return form_page(site, visit, "reset.html", visit.shell.query, sent=False)


@post("/reset", status_code=200)
async def reset_form(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """Send the link; or set the new password, which ends every session."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    house = site.house
    try:
        if not fields.get("token"):
            email = fields.get("email", "")
            await identity.request_password_reset(house.store, house.identity, email, site.now(), visitor=visit.visitor)
            house.bells.outbox.set()
            return form_page(site, visit, "reset.html", fields, sent=True)
        proven = await reset_password(
            house.store, house.identity, house.catalog, fields["token"], fields.get("password", ""), site.now()
        )
    except TollhouseError as error:
        return form_page(site, visit, "reset.html", fields, error, sent=False)
    if proven.customer:
        house.admission.forget(proven.customer)
    return Redirect("/login?done=password", status_code=303)
