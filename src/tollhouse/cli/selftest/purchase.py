"""Tests 4 and 5: a purchase by Checkout and its webhooks, in the sandbox or in Stripe's test mode; never in production."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tollhouse.cli.hosted_page import is_sandbox, pay
from tollhouse.cli.selftest.probe import Customer, Entry, Offers, Page, PlanOffer, Probe
from tollhouse.cli.selftest.validation import Failed, Visit

Seen = TypeVar("Seen")

APPLIED_SECONDS = 30.0
POLL_SECONDS = 0.1
EVENT = "checkout.session.completed"
WEBHOOK_PATH = "/webhooks/stripe"


class Till(msgspec.Struct):
    """How the purchase is paid; `sandbox` is the sandbox's address once one was met."""

    wait_seconds: float
    ask: Callable[[str], None]
    sandbox: str | None = None
    bought: PlanOffer | None = None


async def purchase(probe: Probe, offers: Offers, visit: Visit, till: Till) -> str:
    """Test 4: Checkout with the test card; paying alone gives the plan and its credits, and the book says so."""
    plan = next((plan for plan in offers.plans if plan.prices), None)
    if plan is None:
        raise Failed("no plan of the catalogue can be bought", fix="give a plan a price")
    before = await probe.customer(visit.customer)
    asked = {"plan": plan.plan, "user_id": visit.customer, "email": visit.email, "interval": plan.prices[0].every}
    page = (await probe.call("POST", "/billing/checkout", asked)).ok(Page).url
    if await is_sandbox(probe.http, page):
        where = urlsplit(page)
        till.sandbox = f"{where.scheme}://{where.netloc}"
        await pay(probe.http, page, visit.email)
        patience = min(till.wait_seconds, APPLIED_SECONDS)
    else:
        till.ask(page)
        patience = till.wait_seconds
    began = time.monotonic()
    paid = await _until(lambda: probe.customer(visit.customer), lambda seen: _has(seen, before, plan), patience)
    took = time.monotonic() - began
    if paid is None:
        seen = await probe.customer(visit.customer)
        raise Failed(
            f"{patience:.0f} s after the Checkout page the plan is {seen.plan}, not {plan.plan} with its whole grant",
            fix=f"check that Stripe reaches {probe.url}{WEBHOOK_PATH}, and STRIPE_WEBHOOK_SECRET",
        )
    upgraded = [entry for entry in await probe.entries(visit.customer) if entry.action == "plan_upgraded"]
    granted = next(iter(plan.credits.values()), None)
    if granted is not None and not any(entry.metadata.get("credits_granted") == granted for entry in upgraded):
        raise Failed(f"the book has no plan_upgraded with credits_granted {granted}", fix="run `tollhouse verify`")
    till.bought = plan
    return f"plan {paid.plan}{_figures(paid, plan, upgraded)}, {took:.1f} s after paying"


async def webhook(probe: Probe, visit: Visit, till: Till) -> str:
    """Test 5: an event of Stripe's is taken in and changes nothing twice; what Stripe has not signed is refused."""
    looked = await probe.call("GET", WEBHOOK_PATH, signed=False)
    forged = await probe.call("POST", WEBHOOK_PATH, {"id": "evt_forged", "object": "event"}, signed=False)
    if looked.status != 405 or forged.status != 400:
        raise Failed(
            f"GET answered {looked.status} instead of 405, an unsigned event {forged.status} instead of 400",
            fix=f"let {WEBHOOK_PATH} reach Tollhouse unchanged",
        )
    if till.bought is None:
        raise Failed("no purchase went through, so no event was there to watch", fix="make test 4 pass first")
    if till.sandbox is None:
        return "the purchase's events were taken in; an unsigned one was refused with 400"
    before = await probe.customer(visit.customer)
    took = await _send_again(probe.http, till.sandbox, visit)
    after = await probe.customer(visit.customer)
    if (after.plan, _totals(after)) != (before.plan, _totals(before)):
        raise Failed("the same event, sent again, changed the plan or its credits", fix="run `tollhouse verify`")
    return f"{EVENT}, sent again, was taken in after {took:.2f} s and changed nothing; an unsigned one was refused"


def _totals(customer: Customer) -> dict[str, Decimal | None]:
    return {name: meter.total for name, meter in customer.meters.items()}


class _Session(msgspec.Struct, frozen=True):
    customer_details: dict[str, object] | None = None


class _Data(msgspec.Struct, frozen=True):
    object: _Session


class _Event(msgspec.Struct, frozen=True):
    id: str
    data: _Data


class _Events(msgspec.Struct, frozen=True):
    data: list[_Event]


class _Resent(msgspec.Struct, frozen=True):
    deliveries: list[str]


class _Delivery(msgspec.Struct, frozen=True):
    id: str
    status: str


class _Deliveries(msgspec.Struct, frozen=True):
    data: list[_Delivery]


async def _send_again(http: aiohttp.ClientSession, sandbox: str, visit: Visit) -> float:
    """Sends the purchase's event once more; seconds until the instance had taken it in. Raises Failed."""
    controls = f"{sandbox}/_sandbox"
    listed = await _sandbox(http, "GET", f"{controls}/events?type={EVENT}")
    event = next((found.id for found in msgspec.json.decode(listed, type=_Events).data if _is_of(found, visit)), None)
    if event is None:
        raise Failed(f"the sandbox has no {EVENT} of this purchase", fix=f"look at {sandbox}/events")
    began = time.monotonic()
    resent = msgspec.json.decode(await _sandbox(http, "POST", f"{controls}/events/{event}/resend"), type=_Resent)

    async def deliveries() -> list[_Delivery]:
        raw = await _sandbox(http, "GET", f"{controls}/deliveries?event={event}")
        return [found for found in msgspec.json.decode(raw, type=_Deliveries).data if found.id in resent.deliveries]

    def arrived(found: list[_Delivery]) -> bool:
        return bool(found) and all(delivery.status == "succeeded" for delivery in found)

    if await _until(deliveries, arrived, APPLIED_SECONDS) is None:
        raise Failed(
            "the event was not delivered, or not answered with 200", fix=f"look at {sandbox}/deliveries for the answer"
        )
    return time.monotonic() - began


def _is_of(event: _Event, visit: Visit) -> bool:
    details = event.data.object.customer_details
    return details is not None and details.get("email") == visit.email


async def _sandbox(http: aiohttp.ClientSession, method: str, url: str) -> bytes:
    async with http.request(method, url) as answer:
        raw = await answer.read()
        if answer.status >= 400:
            raise Failed(
                f"the sandbox answered {answer.status}: {raw[:200]!r}", fix="bring the sandbox to this version"
            )
        return raw


async def _until(look: Callable[[], Awaitable[Seen]], wanted: Callable[[Seen], bool], seconds: float) -> Seen | None:
    """Looks until it is as wanted; None when that takes longer."""
    deadline = time.monotonic() + seconds
    while True:
        seen = await look()
        if wanted(seen):
            return seen
        if time.monotonic() >= deadline:
            return None
        await asyncio.sleep(POLL_SECONDS)


def _has(seen: Customer, before: Customer, plan: PlanOffer) -> bool:
    """Whether the customer has all that this plan gives, just paid."""
    if seen.plan != plan.plan or seen.standing != "good":
        return False
    for name, granted in plan.credits.items():
        meter = seen.meters[name]
        kept = before.meters[name].remaining if name in plan.adds and name in before.meters else None
        if meter.remaining != granted + (kept or 0) or (name not in plan.adds and meter.used != 0):
            return False
    return all(name in seen.meters and seen.meters[name].total == limit for name, limit in plan.limits.items())


def _figures(paid: Customer, plan: PlanOffer, upgraded: list[Entry]) -> str:
    name = next(iter(plan.credits), None)
    if name is None:
        limits = (f"{name}: total {total}" for name, total in plan.limits.items() if total is not None)
        return ", " + next(limits, "unlimited")
    meter = paid.meters[name]
    return f", {name}: total {meter.total}, used {meter.used}, {upgraded[0].action} logged"
