"""The customer's plan and payments: buying, the portal, and the wait until a payment has arrived."""

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from tollhouse.billing import maintenance
from tollhouse.billing.actions import (
    Payer,
    SubscriptionView,
    Till,
    awaited_packs,
    currency_of,
    has_arrived,
    invoices_of,
    open_portal,
    open_till,
    payer_of,
    refresh,
    start_checkout,
    start_pack_checkout,
    subscription_of,
)
from tollhouse.billing.quotes import quotes_of
from tollhouse.identity import User
from tollhouse.kernel.errors import Conflict
from tollhouse.ledger.book import read_state
from tollhouse.ledger.model import State
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, receive
from tollhouse.web.account import customer_of, load
from tollhouse.web.offers import offers, pack_offers
from tollhouse.web.quoted import agreed, quoted_offers
from tollhouse.web.site import Site, TheSite

TO_PAY = ("open", "action_required")
"""Invoices for which the customer has something to do."""


class PaymentState(msgspec.Struct, frozen=True):
    """Whether there is something new to show: the plan that was paid for is the customer's now, or its payment is on its
    way; of a pack's `session`: it was granted, or its payment is on its way."""

    arrived: bool


@get("/app/billing")
async def billing_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """Plan, next payment, invoices; after a Checkout or the portal also what became of it."""
    visit = await receive(site, request)
    catalog = site.house.catalog
    pack = catalog.packs.get(visit.shell.query.get("pack", ""))
    checkout = visit.shell.query.get("checkout", "")
    has_paid = checkout == "success" or visit.shell.query.get("portal") == "back"
    if (pack is not None or has_paid) and site.house.stripe is not None:
        till, payer = await _till(site, visit.signed_in.user)
        await refresh(till, payer.customer)
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
        subscription = await subscription_of(tx, account.customer)
        invoices = await invoices_of(tx, account.customer)
        session = visit.shell.query.get("session", "")
        own = await currency_of(tx, account.customer)
        quotes = await quotes_of(tx, account.customer, account.now)
        granted = pack is not None and await has_arrived(tx, account.customer, session)
        awaited = await awaited_packs(tx, account.customer, site.now())
        paused_until = await maintenance.paused_until(tx, site.now())
    paid = granted if pack is not None else arrived(subscription, account.state)
    under_way = next((each for each in invoices if each.status == "processing"), None)
    if checkout == "success":
        waits = bool(awaited) if pack is not None else under_way is not None
        checkout = "arrived" if paid else "under_way" if waits else "waiting"
    begins = subscription is not None and not arrived(subscription, account.state)
    values = account.frame | {
        "subscription": subscription,
        "invoices": invoices,
        "pack": pack,
        "paused_until": paused_until,
        "session": session,
        "packs": pack_offers(catalog, own=own),
        "open_invoice": next((each for each in invoices if each.status in TO_PAY and each.page_url), None),
        "under_way": under_way,
        "awaited": [catalog.packs[name].title if name in catalog.packs else name for name in awaited],
        "begins": catalog.plans.get(subscription.plan or "") if subscription and begins else None,
        "later_plan": catalog.plans.get(subscription.later.plan) if subscription and subscription.later else None,
        "free_plan": catalog.plans[catalog.free_plan],
        "checkout": checkout,
        "offer": next((o for o in offers(catalog, "month") if o.plan == account.plan.plan), None),
        "quoted": quoted_offers(catalog, quotes) if subscription is None else [],
        "agreed": agreed(catalog, subscription, quotes, account.now),
        "main_meters": [card for card in account.meters if card.kind in ("credits", "quota")],
    }
    return site.pages.render("billing.html", visit.shell, values, cookies=visit.cookies)


@get("/app/billing/state")
async def payment_state(site: TheSite, request: AnyRequest) -> PaymentState:
    """For the script of the page after a Checkout."""
    visit = await receive(site, request)
    async with site.house.store.reading() as tx:
        customer = await customer_of(tx, visit.signed_in.user)
        session = visit.shell.query.get("session")
        if session is not None:
            there = await has_arrived(tx, customer, session) or bool(await awaited_packs(tx, customer, site.now()))
            return PaymentState(there)
        state = await read_state(tx, site.house.catalog, customer, site.now())
        under_way = any(each.status == "processing" for each in await invoices_of(tx, customer, most=24))
        return PaymentState(under_way or arrived(await subscription_of(tx, customer), state))


@post("/app/billing/checkout", status_code=303)
async def checkout_form(site: TheSite, request: AnyRequest) -> Redirect:
    """On to Stripe's Checkout page; to the portal where there is a subscription already."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    if fields.get("pack"):
        till, payer = await _till(site, visit.signed_in.user)
        address = visit.visitor.address
        currency = fields.get("currency") or None
        url = await start_pack_checkout(till, payer, fields["pack"], currency=currency, address=address)
        return Redirect(url, status_code=303)
    return await go_to_checkout(site, visit, visit.signed_in.user, fields)


async def go_to_checkout(site: Site, visit: Visit, user: User, fields: dict[str, str]) -> Redirect:
    """Raises InvalidRequest for an unknown plan or currency, TooManyAttempts, Unavailable."""
    till, payer = await _till(site, user)
    try:
        url = await start_checkout(
            till, payer, fields.get("plan", ""), fields.get("every") or None,
            currency=fields.get("currency") or None, address=visit.visitor.address,
        )  # fmt: skip
    except Conflict as error:
        url = str(error.fields.get("url") or "/app/billing")
    return Redirect(url, status_code=303)


@post("/app/billing/portal", status_code=303)
async def portal_form(site: TheSite, request: AnyRequest) -> Redirect:
    """On to Stripe's customer portal."""
    visit = await receive(site, request)
    await read_form(site, request, visit)
    till, payer = await _till(site, visit.signed_in.user)
    return Redirect(await open_portal(till, payer), status_code=303)


async def _till(site: Site, user: User) -> tuple[Till, Payer]:
    house = site.house
    till = open_till(house.store, house.catalog, house.stripe, house.settings)
    async with house.store.reading() as tx:
        return till, await payer_of(tx, await customer_of(tx, user), user.email)


def arrived(subscription: SubscriptionView | None, state: State) -> bool:
    """Whether the account has what the subscription says."""
    return subscription is not None and subscription.plan == state.plan
