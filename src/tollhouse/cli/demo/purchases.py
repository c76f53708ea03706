"""The demo's purchases: by the running product's API, the sandbox's Checkout page, and the webhooks between them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tollhouse.catalog.model import Catalog
from tollhouse.cli.demo.home import Secrets
from tollhouse.cli.demo.stories import PAST_DUE_EMAIL, PAYING_EMAIL
from tollhouse.cli.hosted_page import PAYING_CARD, PAYS_THEN_FAILS_CARD, pay
from tollhouse.kernel.errors import Unavailable

WEBHOOK_PATH = "/webhooks/stripe"
APPLIED_SECONDS = 20.0
EVENTS = (
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "charge.refunded",
    "charge.dispute.closed",
    "setup_intent.succeeded",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
)


class Api:
    """The product's and the sandbox's HTTP, each with its own key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, sandbox_url: str, known: Secrets) -> None:
        self._http = http
        self._url = url
        self._sandbox = sandbox_url
        self._known = known

    async def product(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """A call to the product with the secret key. Raises Unavailable."""
        headers = {"authorization": f"Bearer {self._known.secret_key}"}
        return await self._call(method, self._url + path, headers=headers, json=body)

    async def stripe(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        """A call to Stripe's API at the sandbox. Raises Unavailable."""
        headers = {"authorization": f"Bearer {self._known.stripe_secret_key}"}
        return await self._call(method, self._sandbox + path, headers=headers, data=form)

    async def sandbox(self, path: str, body: Mapping[str, object]) -> Any:
        """One of the sandbox's controls. Raises Unavailable."""
        return await self._call("POST", f"{self._sandbox}/_sandbox/{path}", json=body)

    async def _call(self, method: str, url: str, **arguments: Any) -> Any:
        async with self._http.request(method, url, **arguments) as answer:
            if answer.status >= 400:
                text = (await answer.text())[:400]
                raise Unavailable(f"{method} {url} answered {answer.status}: {text}", code="demo_call_failed")
            return await answer.json(content_type=None)

    async def buy(self, customer: str, email: str, plan: str, card: str) -> str:
        """Checkout, the card, the webhooks: answers Stripe's customer once the product knows the plan."""
        page = (await self.product("POST", "/billing/checkout", {"plan": plan, "user_id": customer}))["url"]
        await pay(self._http, page, email, card)
        await self.until(customer, lambda seen: seen["plan"] == plan)
        session = await self.stripe("GET", f"/v1/checkout/sessions/{urlsplit(page).path.rsplit('/', 1)[1]}")
        return str(session["customer"])

    async def until(self, customer: str, wanted: Callable[[Any], bool]) -> None:
        """Waits until the customer is as wanted. Raises Unavailable."""
        deadline = asyncio.get_running_loop().time() + APPLIED_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if wanted(await self.product("GET", f"/v1/customers/{customer}")):
                return
            await asyncio.sleep(0.05)
        raise Unavailable(
            f"the webhooks of {customer}'s purchase did not take effect within {APPLIED_SECONDS:.0f} s",
            code="webhooks_missing", fix="read serve.log, and the sandbox's page /deliveries",
        )  # fmt: skip


async def ensure_webhook(api: Api, url: str, known: Secrets) -> tuple[str, str]:
    """(endpoint, signing secret) of the product's webhook address at the sandbox, registered once and kept."""
    if known.webhook_endpoint is not None and known.webhook_secret is not None:
        path = f"/v1/webhook_endpoints/{known.webhook_endpoint}"
        await api.stripe("POST", path, {"url": url + WEBHOOK_PATH})
        return known.webhook_endpoint, known.webhook_secret
    form = {"url": url + WEBHOOK_PATH}
    form.update({f"enabled_events[{number}]": event for number, event in enumerate(EVENTS)})
    made = await api.stripe("POST", "/v1/webhook_endpoints", form)
    return made["id"], made["secret"]


async def make_purchases(api: Api, catalog: Catalog, customers: Mapping[str, str], afterwards: tuple[str, ...]) -> None:
    """One customer buys the first plan and uses it; another buys it, and the next payment fails."""
    plan = next(plan.plan for plan in catalog.plans.values() if plan.prices)
    await api.buy(customers[PAYING_EMAIL], PAYING_EMAIL, plan, PAYING_CARD)
    for number, action in enumerate(afterwards):
        body = {"customer": customers[PAYING_EMAIL], "action": action, "key": f"demo-afterwards-{number}"}
        await api.product("POST", "/v1/admit", body)
    payer = await api.buy(customers[PAST_DUE_EMAIL], PAST_DUE_EMAIL, plan, PAYS_THEN_FAILS_CARD)
    await api.sandbox("trigger", {"event": "invoice.payment_failed", "customer": payer})
    await api.until(customers[PAST_DUE_EMAIL], lambda seen: seen["standing"] == "past_due")
