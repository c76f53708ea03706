"""`POST /billing/setup-intent` and `POST /billing/subscribe`: for a product whose own front end asks for the card."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tollhouse.api.answers import EITHER_SECURITY, TheHouse, answers_with, problems
from tollhouse.api.sessions import AnyRequest, Caller, caller_of
from tollhouse.billing.actions import Payer, open_till, payer_of
from tollhouse.billing.subscribing import SetupStarted, Subscribed, start_setup, subscribe
from tollhouse.customers.actions import resolve
from tollhouse.house import House

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
NOT_YOURS = problems(_403="`not_your_customer`", _404="`customer_not_found`")
PAUSED = problems(_503="Nothing was done; try again. `maintenance`: new subscriptions are paused until `ends_at`")


class SetupRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who brings a card."""

    user_id: Text


class SubscribeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who subscribes to what, with the card of which setup intent; `interval`: month or year;
    `currency`: where the plan has prices in several."""

    user_id: Text
    plan: Text
    setup_intent: Text
    interval: Text | None = None
    currency: Annotated[str, msgspec.Meta(min_length=1, max_length=10)] | None = None


@post(
    "/billing/setup-intent", status_code=200, summary="Begin to keep a card", tags=["Billing"], security=EITHER_SECURITY,
    responses=answers_with(SetupStarted) | NOT_YOURS | PAUSED,
)  # fmt: skip
async def setup_intent(house: TheHouse, request: AnyRequest, data: JSONBody[SetupRequest]) -> SetupStarted:
    """A setup intent of Stripe's. The browser confirms it with `client_secret` (Stripe.js `confirmSetup`)."""
    payer, address = await _payer(house, request, data.user_id)
    return await start_setup(
        open_till(house.store, house.catalog, house.stripe, house.settings), payer, address=address
    )


@post(
    "/billing/subscribe", status_code=200, summary="Subscribe with a card that was kept", tags=["Billing"],
    security=EITHER_SECURITY,
    responses=answers_with(Subscribed)
    | NOT_YOURS
    | problems(_409="`already_subscribed` with the portal's `url`, `setup_not_finished`, `subscribing`")
    | PAUSED,
)  # fmt: skip
async def subscribe_with_card(house: TheHouse, request: AnyRequest, data: JSONBody[SubscribeRequest]) -> Subscribed:
    """Subscribe at once. With `requires_action` the browser confirms the payment with `client_secret`; 422 `card_declined`."""
    payer, address = await _payer(house, request, data.user_id)
    till = open_till(house.store, house.catalog, house.stripe, house.settings)
    return await subscribe(
        till, payer, data.plan, data.interval, data.setup_intent, currency=data.currency, address=address
    )


async def _payer(house: House, request: AnyRequest, reference: str) -> tuple[Payer, str | None]:
    """Who pays, and the browser's address: a server's own says nothing about who pays (row U13)."""
    caller: Caller = await caller_of(house, request)
    address = None if caller.is_server or request.client is None else request.client.host
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
        caller.require(customer)
        return await payer_of(tx, customer), address


def subscribing_routes() -> list[HTTPRouteHandler]:
    """The handlers, for the application."""
    return [setup_intent, subscribe_with_card]
