"""Who calls the JSON entrance: the product's own server with a secret key, or a user with a session of the pages."""

from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from tollhouse.api.callers import authenticate, count_stranger, forgive_stranger
from tollhouse.customers.actions import customer_of_user
from tollhouse.house import House
from tollhouse.identity import Session
from tollhouse.identity import actions as identity
from tollhouse.kernel.errors import NotAllowed, NotAuthenticated

SESSION_COOKIE = "th_session"
FORM_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

AnyRequest: TypeAlias = Request[Any, Any, Any]
AnyConnection: TypeAlias = ASGIConnection[Any, Any, Any, Any]


class CurrentUser(msgspec.Struct, frozen=True):
    """A signed-in user. `customer` is None while it waits for the e-mail address to be proven."""

    session: Session
    customer: str | None


class Caller(msgspec.Struct, frozen=True):
    """Who sent a request: a server of the product's own (`user` is None), or a user."""

    user: CurrentUser | None

    @property
    def is_server(self) -> bool:
        return self.user is None

    def require(self, customer: str) -> None:
        """Raises NotAllowed unless the caller may act for this customer: a server for any, a user for their own."""
        if self.user is not None and self.user.customer != customer:
            raise NotAllowed(
                "this customer is not yours", code="not_your_customer", fix="name yourself, or call with a secret key"
            )


def server_only(house: House) -> Callable[[AnyConnection, BaseRouteHandler], None]:
    """A guard through which only a live secret key comes."""

    def guard(connection: AnyConnection, _: BaseRouteHandler) -> None:
        authenticate(house, connection.scope)

    return guard


async def current_user(house: House, request: AnyRequest) -> CurrentUser:
    """The user of the session cookie. A request that changes something needs the page's form token in `X-CSRF-Token`.

    Raises NotAuthenticated `not_signed_in`, NotAllowed `form_expired`, TooManyAttempts.
    """
    token = request.cookies.get(SESSION_COOKIE)
    now = house.store.clock.now_ms()
    count_stranger(house, request.scope)  # before the database is asked
    session = await identity.current_session(house.store, house.identity, token, now) if token else None
    if session is None or token is None:
        raise NotAuthenticated("nobody is signed in", code="not_signed_in", fix="sign in, or send a secret key")
    forgive_stranger(house, request.scope)
    if request.method not in SAFE_METHODS:
        check_origin(house, request.headers.get("origin"), request.headers.get("host"))
        house.identity.seal.check_form(request.headers.get(FORM_HEADER, ""), session=token, visitor=None)
    async with house.store.reading() as tx:
        return CurrentUser(session, await customer_of_user(tx, session.user.id))


def check_origin(house: House, origin: str | None, host: str | None) -> None:
    """Raises NotAllowed when a browser says that the request comes from a page of another site that is not listed."""
    if origin is None or origin in house.settings.web.allowed_origins:
        return
    ours = {urlsplit(house.settings.url).netloc, host}
    if urlsplit(origin).netloc not in ours:
        raise NotAllowed("this request was sent by another site", code="form_expired", fix="send it from our own page")


async def caller_of(house: House, request: AnyRequest) -> Caller:
    """The server of a secret key where one was sent, else the user of the session cookie. Raises as these do."""
    if "authorization" in request.headers:
        authenticate(house, request.scope)
        return Caller(None)
    return Caller(await current_user(house, request))
