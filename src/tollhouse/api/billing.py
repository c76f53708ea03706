"""`POST /billing/checkout` and `POST /billing/portal`: for the product's servers, and for a signed-in user itself."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tollhouse.api.answers import EITHER_SECURITY, TheHouse, answers_with, problems
from tollhouse.api.sessions import AnyRequest, Caller, caller_of
from tollhouse.billing.actions import (
    Payer,
    open_portal,
    open_till,
    payer_of,
    start_checkout,
    start_pack_checkout,
)
from tollhouse.customers.actions import resolve
from tollhouse.house import House
from tollhouse.identity.emails import normal_email
from tollhouse.kernel.errors import InvalidRequest

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
NOT_YOURS = problems(_403="`not_your_customer`", _404="`customer_not_found`")


class CheckoutRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who buys what: a plan, or a pack. `user_id`: a cus_ or usr_ id, or the product's own id; `interval`: month or year;
    `currency`: where there are prices in several, and for a customer who has bought something its own only."""

    user_id: Text
    plan: Text | None = None
    pack: Text | None = None
    email: Annotated[str, msgspec.Meta(max_length=254)] | None = None
    interval: Text | None = None
    currency: Annotated[str, msgspec.Meta(min_length=1, max_length=10)] | None = None


class PortalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who manages its subscription."""

    user_id: Text


class PageAddress(msgspec.Struct, frozen=True):
    """The address of a page of Stripe's, to which the browser is sent."""

    url: str


@post(
    "/billing/checkout", status_code=200, summary="Open a Checkout page", tags=["Billing"], security=EITHER_SECURITY,
    responses=answers_with(PageAddress)
    | NOT_YOURS
    | problems(_409="`already_subscribed`, with the portal's `url`")
    | problems(_503="Nothing was done; try again. `maintenance`: new subscriptions are paused until `ends_at`"),
)  # fmt: skip
async def checkout(house: TheHouse, request: AnyRequest, data: JSONBody[CheckoutRequest]) -> PageAddress:
    """A Stripe Checkout page for a plan or a pack. 409 `already_subscribed` carries the portal's `url`."""
    caller = await caller_of(house, request)
    if (data.plan is None) == (data.pack is None):
        raise InvalidRequest("name a plan or a pack, one of the two", fix="send either `plan` or `pack`")
    email = normal_email(data.email) if data.email else None
    payer = await _payer(house, caller, data.user_id, email)
    till = open_till(house.store, house.catalog, house.stripe, house.settings)
    # A server's own address says nothing about who pays; a browser's does (row U13).
    address = None if caller.is_server or request.client is None else request.client.host
    if data.pack is not None:
        return PageAddress(await start_pack_checkout(till, payer, data.pack, currency=data.currency, address=address))
    url = await start_checkout(till, payer, data.plan or "", data.interval, currency=data.currency, address=address)
    return PageAddress(url)


@post(
    "/billing/portal", status_code=200, summary="Open the customer portal", tags=["Billing"], security=EITHER_SECURITY,
    responses=answers_with(PageAddress) | NOT_YOURS | problems(_409="there is nothing to manage yet"),
)  # fmt: skip
async def portal(house: TheHouse, request: AnyRequest, data: JSONBody[PortalRequest]) -> PageAddress:
    """Stripe's page on which a customer changes its plan and cards, and finds its invoices."""
    payer = await _payer(house, await caller_of(house, request), data.user_id, None)
    return PageAddress(await open_portal(open_till(house.store, house.catalog, house.stripe, house.settings), payer))


async def _payer(house: House, caller: Caller, reference: str, email: str | None) -> Payer:
    """Who pays. Raises NotFound, or NotAllowed for a user who names another customer."""
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
        caller.require(customer)
        return await payer_of(tx, customer, email)


def billing_routes() -> list[HTTPRouteHandler]:
    """The handlers, for the application."""
    return [checkout, portal]
