"""One request as the pages see it: who is there, in which language, and whether a form may be believed."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request
from litestar.datastructures import Cookie

from tollhouse.catalog.model import Product
from tollhouse.identity import IdentityDesk, Session, Visitor
from tollhouse.identity import actions as identity
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import (
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Refused,
    TollhouseError,
    TooManyAttempts,
    Unavailable,
)
from tollhouse.pages.rendering import Pages, Person, Shell
from tollhouse.pages.security import new_nonce
from tollhouse.pages.texts import choose_locale
from tollhouse.settings import Settings
from tollhouse.store import Store

SESSION_COOKIE = "th_session"
VISITOR_COOKIE = "th_visitor"
LANGUAGE_COOKIE = "lang"
THEMES = ("light", "dark")

AnyRequest = Request[Any, Any, Any]


class Front(msgspec.Struct, frozen=True):
    """What an entrance with pages needs to understand a request; each adds what its handlers need besides."""

    settings: Settings
    product: Product
    store: Store
    identity: IdentityDesk
    pages: Pages

    @property
    def secure(self) -> bool:
        """Whether cookies go over HTTPS only."""
        return self.settings.url.startswith("https://")

    def now(self) -> int:
        """The database's time, milliseconds."""
        return self.store.clock.now_ms()

    def cookie(self, name: str, value: str, seconds: int) -> Cookie:
        """A cookie that scripts cannot read and other sites do not send."""
        return Cookie(
            key=name, value=value, max_age=seconds, path="/", httponly=True, secure=self.secure, samesite="lax",
            domain=self.settings.web.cookie_domain,
        )  # fmt: skip


class Visit(msgspec.Struct, frozen=True):
    """A request, understood. `token` is the value of the session's cookie; `cookies` have to go out with the answer."""

    shell: Shell
    visitor: Visitor
    session: Session | None
    token: str | None
    cookies: tuple[Cookie, ...]

    @property
    def signed_in(self) -> Session:
        """The session. Raises NotAuthenticated."""
        if self.session is None:
            raise NotAuthenticated("sign in to see this page", fix="sign in")
        return self.session


async def receive(front: Front, request: AnyRequest) -> Visit:
    """Read the cookies and choose the language. A form gets its token from the session, else from a visitor's cookie."""
    desk = front.identity
    token = request.cookies.get(SESSION_COOKIE)
    session = await identity.current_session(front.store, desk, token, front.now()) if token else None
    cookies: list[Cookie] = []
    bound_to = token if session else None
    if bound_to is None:
        bound_to = request.cookies.get(VISITOR_COOKIE, "")
        if not desk.seal.is_visitor(bound_to):
            bound_to = desk.seal.new_visitor()
            cookies.append(front.cookie(VISITOR_COOKIE, bound_to, DAY // 1000))
    locale = _locale(front, request, session)
    if request.query_params.get("lang") and locale != request.cookies.get(LANGUAGE_COOKIE):
        cookies.append(front.cookie(LANGUAGE_COOKIE, locale, 365 * DAY // 1000))
    shell = _shell(front, request, locale, desk.seal.form_token(bound_to), session)
    visit = Visit(shell, _visitor(request), session, token if session else None, tuple(cookies))
    request.state.visit = visit  # for the page of an error
    return visit


def bare_visit(front: Front, request: AnyRequest) -> Visit:
    """A request when nothing can be read any more: enough to show that something is broken."""
    return Visit(_shell(front, request, _locale(front, request, None), "", None), _visitor(request), None, None, ())


def _locale(front: Front, request: AnyRequest, session: Session | None) -> str:
    wishes = (
        request.query_params.get("lang"),
        session.user.locale if session else None,
        request.cookies.get(LANGUAGE_COOKIE),
    )
    accepted = request.headers.get("accept-language", "")
    return choose_locale(wishes, accepted, front.product.default_locale)


def _shell(front: Front, request: AnyRequest, locale: str, csrf: str, session: Session | None) -> Shell:
    theme = request.cookies.get("theme", "")
    user = session.user if session else None
    return Shell(
        product=front.product,
        environment=front.settings.environment,
        production=front.settings.production,
        locale=locale,
        path=request.url.path,
        nonce=new_nonce(),
        csrf=csrf,
        theme=theme if theme in THEMES else "",
        person=Person(user.email, user.name, user.staff_role is not None) if user else None,
        query={name: value for name, value in request.query_params.items() if isinstance(value, str)},
    )


def _visitor(request: AnyRequest) -> Visitor:
    return Visitor(request.client.host if request.client else "", request.headers.get("user-agent", ""))


async def read_form(front: Front, request: AnyRequest, visit: Visit) -> dict[str, str]:
    """The form's fields. Raises NotAllowed `form_expired` when it was not made by a page of ours for this visitor."""
    origin = request.headers.get("origin")
    ours = (urlsplit(front.settings.url).netloc, request.headers.get("host"))
    if origin is not None and urlsplit(origin).netloc not in ours:
        raise NotAllowed("this form was sent from another site", code="form_expired", fix="open the page here")
    fields = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    visitor = request.cookies.get(VISITOR_COOKIE)
    front.identity.seal.check_form(fields.get("csrf", ""), session=visit.token, visitor=visitor)
    return fields


def local_path(text: str | None, otherwise: str) -> str:
    """`text` when it is a path of this site, so that nobody is sent on to another one."""
    if text and text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and "\\" not in text:
        return text
    return otherwise


STATUS: tuple[tuple[type[TollhouseError], int], ...] = (
    (NotAuthenticated, 401),
    (NotAllowed, 403),
    (Refused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (InvalidRequest, 422),
    (TooManyAttempts, 429),
    (Unavailable, 503),
    (ConfigurationError, 503),
)


def refusal_status(error: TollhouseError) -> int:
    """The HTTP status with which a page tells of this error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)
