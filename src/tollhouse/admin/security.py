"""Staff's own second factor: set up with an authenticator app, recovery codes, turned off."""

import segno
from litestar import Response, get, post
from litestar.response import Redirect
from markupsafe import Markup

from tollhouse.admin.site import Office, TheOffice, receive_colleague
from tollhouse.identity import actions as identity
from tollhouse.identity import second_factor
from tollhouse.kernel.errors import TollhouseError
from tollhouse.pages import texts_in
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, refusal_status
from tollhouse.pages.words import error_words

PATH = "/admin/security"


@get(PATH)
async def security_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """How the second factor stands, and the next step."""
    return await _page(office, await receive_colleague(office, request))


@post(f"{PATH}/begin", status_code=303)
async def begin_form(office: TheOffice, request: AnyRequest) -> Response[str] | Redirect:
    """Make a secret to be scanned; the password proves that it is the user who asks."""
    visit = await receive_colleague(office, request)
    fields = await read_form(office, request, visit)
    user = visit.signed_in.user
    try:
        await identity.check_password(
            office.store, office.identity, user, fields.get("password", ""), office.now(), visitor=visit.visitor
        )
        async with office.store.transaction() as tx:
            await second_factor.begin_factor(tx, office.identity, user, office.store.clock.real_ms())
    except TollhouseError as error:
        return await _page(office, visit, error=error)
    return Redirect(PATH, status_code=303)


@post(f"{PATH}/confirm", status_code=200)
async def confirm_form(office: TheOffice, request: AnyRequest) -> Response[str]:
    """The first code: from now on one is asked for at every sign-in. Shows the recovery codes, this once."""
    visit = await receive_colleague(office, request)
    fields = await read_form(office, request, visit)
    try:
        codes = await second_factor.confirm_factor(
            office.store, office.identity, visit.signed_in, fields.get("code", ""), office.store.clock.real_ms(),
            office.now(),
        )  # fmt: skip
    except TollhouseError as error:
        return await _page(office, visit, error=error)
    return await _page(office, visit, codes=codes)


@post(f"{PATH}/codes", status_code=200)
async def codes_form(office: TheOffice, request: AnyRequest) -> Response[str]:
    """Ten new recovery codes, shown this once; the old ones are worthless."""
    return await _change(office, request, off=False)


@post(f"{PATH}/off", status_code=200)
async def off_form(office: TheOffice, request: AnyRequest) -> Response[str]:
    """The password alone lets the user in again."""
    return await _change(office, request, off=True)


async def _change(office: Office, request: AnyRequest, *, off: bool) -> Response[str]:
    visit = await receive_colleague(office, request)
    fields = await read_form(office, request, visit)
    try:
        codes = await second_factor.change_factor(
            office.store, office.identity, visit.signed_in.user, fields.get("code", ""), office.store.clock.real_ms(),
            off=off,
        )  # fmt: skip
    except TollhouseError as error:
        return await _page(office, visit, error=error)
    return await _page(office, visit, codes=codes, done="off" if off else "")


async def _page(
    office: Office, visit: Visit, *, codes: list[str] | None = None, error: TollhouseError | None = None, done: str = ""
) -> Response[str]:
    user = visit.signed_in.user
    async with office.store.reading() as tx:
        state = await second_factor.factor_of(tx, office.identity, user)
    secret = state.secret
    address = second_factor.address_of(secret, user, office.product.name) if secret else None
    values = {
        "state": state,
        "picture": Markup(segno.make(address, error="m").svg_inline(scale=5, dark="#000", light="#fff"))
        if address
        else "",
        "typed": " ".join(secret[place : place + 4] for place in range(0, len(secret), 4)) if secret else "",
        "codes": codes or [],
        "required": office.settings.web.staff_totp == "required",
        "email": user.email,
        "error": error_words(error, texts_in(visit.shell.locale)) if error else "",
        "done": done,
    }
    status = refusal_status(error) if error else 200
    return office.pages.render("security.html", visit.shell, values, status=status, cookies=visit.cookies)


HANDLERS = (security_page, begin_form, confirm_form, codes_form, off_form)
