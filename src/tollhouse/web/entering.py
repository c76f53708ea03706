"""What the pages for signing up and in share: a form that keeps what was typed, and the way in."""

from litestar import Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from tollhouse.identity import NewSession
from tollhouse.kernel.errors import TollhouseError
from tollhouse.pages import texts_in
from tollhouse.pages.visiting import SESSION_COOKIE, Visit, refusal_status
from tollhouse.pages.words import error_words
from tollhouse.web.site import Site


def form_page(
    site: Site,
    visit: Visit,
    template: str,
    fields: dict[str, str],
    error: TollhouseError | None = None,
    **values: object,
) -> Response[str]:
    """The form, with what was typed (never a password) and what was wrong with it."""
    texts = texts_in(visit.shell.locale)
    words = error_words(error, texts) if error else ""
    shown = {
        "fields": {name: value for name, value in fields.items() if name not in ("password", "csrf")},
        "error": "" if error and error.code in _FIELD_OF else words,
        "errors": {_FIELD_OF[error.code]: words} if error and error.code in _FIELD_OF else {},
        **values,
    }
    status = refusal_status(error) if error else 200
    return site.pages.render(template, visit.shell, shown, status=status, cookies=visit.cookies)


_FIELD_OF = {"email_taken": "email", "invalid_email": "email", "weak_password": "password"}


def enter(site: Site, visit: Visit, session: NewSession, path: str, *cookies: Cookie) -> Redirect:
    """On to the page with a new session."""
    seconds = max(0, (session.expires_at - site.now()) // 1000)
    cookie = site.cookie(SESSION_COOKIE, session.token, seconds)
    return Redirect(path, status_code=303, cookies=[*visit.cookies, *cookies, cookie])
