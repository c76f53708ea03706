"""Errors as designed pages: what happened, and the next step as a button."""

from typing import Any
from urllib.parse import urlencode

import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.kernel.errors import NotAuthenticated, TollhouseError
from tollhouse.pages.formats import moment
from tollhouse.pages.texts import N_, Texts, texts_in
from tollhouse.pages.visiting import AnyRequest, Front, Visit, bare_visit, refusal_status
from tollhouse.pages.words import error_words

MAINTENANCE = "maintenance"

log = structlog.get_logger(__name__)

_TITLES = {
    403: N_("You may not see this page"),
    404: N_("There is no such page"),
    405: N_("There is no such page"),
    409: N_("That does not fit together"),
    413: N_("That was too much at once"),
    422: N_("That did not work"),
    429: N_("Too many attempts"),
    503: N_("Closed for a moment"),
}
_TEXTS = {
    403: N_("Your account is not allowed here. Another one may be."),
    404: N_("The address is wrong, or the page is gone."),
    405: N_("The address is wrong, or the page is gone."),
    500: N_("The mistake is ours, and we have written it down. Try again in a moment."),
    503: N_("We cannot do this right now. Nothing has happened; try again in a moment."),
}


def handlers(front: Front) -> ExceptionHandlersMap:
    """What answers when a page's handler raises. `error_page` alone serves whoever has no route at all."""

    def on_own(request: AnyRequest, error: TollhouseError) -> Response[Any]:
        return own_error_page(front, request, error)

    def on_http(request: AnyRequest, error: HTTPException) -> Response[str]:
        return error_page(front, request, error.status_code)

    def on_any(request: AnyRequest, error: Exception) -> Response[str]:
        log.error("page_failed", path=request.url.path, exc_info=error)
        return error_page(front, request, 500)

    return {TollhouseError: on_own, HTTPException: on_http, Exception: on_any}


def own_error_page(front: Front, request: AnyRequest, error: TollhouseError) -> Response[Any]:
    """A page for one of our own errors; somebody who has to sign in is sent there, and back afterwards."""
    if isinstance(error, NotAuthenticated) and request.method == "GET":
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return Redirect("/login?" + urlencode({"next": path}), status_code=303)
    visit = visit_of(front, request)
    texts = texts_in(visit.shell.locale)
    status = refusal_status(error)
    if status >= 500 and error.code != MAINTENANCE:
        log.error("page_refused", path=request.url.path, code=error.code, detail=error.detail, fix=error.fix)
    headers = {"Retry-After": str(error.fields.get("retry_after") or 5)} if status in (429, 503) else {}
    if error.code == MAINTENANCE:
        return _maintenance_page(front, visit, texts, str(error.fields["ends_at"]), headers)
    text = error_words(error, texts) if status < 500 or status == 503 else texts(_TEXTS[500])
    return _page(front, visit, texts, status, text, headers)


def _maintenance_page(front: Front, visit: Visit, texts: Texts, ends_at: str, headers: dict[str, str]) -> Response[str]:
    """For whoever wants to buy something while new subscriptions are paused: until when, and what goes on."""
    until = moment(parse_rfc3339(ends_at), texts.locale)
    text = N_(
        "Until %(until)s no plan and no pack can be bought. All that you have works as always, and nothing was charged."
    )
    steps = [("/pricing", texts(N_("See the plans"))), _home(visit, texts)]
    values = {
        "status": 503,
        "title": texts(N_("New purchases are paused")),
        "text": texts(text, until=until),
        "steps": steps,
    }
    return front.pages.render(
        "error.html", visit.shell, values, status=503, cookies=visit.cookies, extra_headers=headers
    )


def error_page(front: Front, request: AnyRequest, status: int) -> Response[str]:
    """A page for an HTTP status, which asks no database: whatever is broken, this one is still shown."""
    visit = visit_of(front, request)
    texts = texts_in(visit.shell.locale)
    return _page(front, visit, texts, status, texts(_TEXTS.get(status, _TEXTS[500 if status >= 500 else 404])), {})


def visit_of(front: Front, request: AnyRequest) -> Visit:
    """What the handler had understood before it failed; nothing is read again."""
    known = request.state.get("visit")
    return known if isinstance(known, Visit) else bare_visit(front, request)


def _page(front: Front, visit: Visit, texts: Texts, status: int, text: str, headers: dict[str, str]) -> Response[str]:
    title = texts(_TITLES.get(status, N_("Something went wrong")))
    home = _home(visit, texts)
    again = [(visit.shell.path, texts(N_("Try again")))] if status in (429, 500, 503) else []
    values = {"status": status, "title": title, "text": text, "steps": [*again, home]}
    return front.pages.render(
        "error.html", visit.shell, values, status=status, cookies=visit.cookies, extra_headers=headers
    )


def _home(visit: Visit, texts: Texts) -> tuple[str, str]:
    return ("/app", texts(N_("Open the app"))) if visit.session else ("/", texts(N_("To the start page")))
