"""Stripe's API through the official SDK, in our own words. Every call goes over the network: never inside a transaction.

The SDK signs, retries and names errors; what comes back is read by `wire.py` and told in `billing.model`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from tollhouse.billing import model
from tollhouse.billing.account import PRODUCT_KEY, ProductFacts
from tollhouse.billing.stripe import translate, wire
from tollhouse.billing.stripe.failures import translated
from tollhouse.billing.stripe.pace import Pace
from tollhouse.billing.stripe.taxation import taxation
from tollhouse.catalog.model import Terms
from tollhouse.kernel.errors import NotFound, Unavailable

if TYPE_CHECKING:
    import stripe

    from tollhouse.billing.stripe.http import Fields

TIMEOUT_SECONDS = 30
CONNECT_SECONDS = 10
RETRIES = 2
PAGE = 100
CONNECTIONS = 32
PORTAL_SECONDS = 300
SUPPORTED_API_VERSION = "2026-10-28.endive"
"""The SDK's own (a test says so); written out, because the SDK is loaded at the first call: `serve` starts without it."""
FIRST_WITH_PAYMENTS = "2025-03-31"
"""Since this version an invoice lists its payments; before, charge and intent named their invoice (Stripe's changelog: basil)."""

T = TypeVar("T")
Found = TypeVar("Found", bound=wire.Identified)
Params = Mapping[str, object]


class Answer(msgspec.Struct, frozen=True):
    """What Stripe answered: the body as it came, and its header fields."""

    body: bytes
    headers: Mapping[str, str]


class StripeGateway:
    """One Stripe account in one mode. `api_base` puts the sandbox in Stripe's place; `pace` slows long work down."""

    def __init__(
        self, secret_key: str, *, api_version: str | None = None, api_base: str | None = None, pace: Pace | None = None
    ) -> None:
        self._pace = pace
        self.live_mode = "_live_" in secret_key
        self.api_version = api_version or SUPPORTED_API_VERSION
        self._key = secret_key
        self._base = api_base
        self._http: stripe.AIOHTTPClient | None = None
        self._client: stripe.StripeClient | None = None
        self._portal: tuple[str | None, float] | None = None

    def _connected(self) -> "stripe.StripeClient":
        """The SDK's client; made at the first call, because it belongs to the running event loop."""
        if self._client is None:
            import stripe

            from tollhouse.billing.stripe.http import BodyAside

            plain = self._base is not None and self._base.startswith("http://")
            secure: ssl.SSLContext | bool = True if plain else ssl.create_default_context(cafile=stripe.ca_bundle_path)
            self._http = BodyAside(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
                connector=aiohttp.TCPConnector(ssl=secure, limit=CONNECTIONS),
            )
            self._client = stripe.StripeClient(
                self._key,
                stripe_version=self.api_version,
                base_addresses={"api": self._base} if self._base else None,
                http_client=self._http,
                max_network_retries=RETRIES,
            )
        return self._client

    async def close(self) -> None:
        """Give the connections back."""
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]
        self._http = self._client = None

    async def _call(
        self, method: str, path: str, params: Params, shape: type[T], idempotency_key: str | None = None
    ) -> T:
        return self._decoded(await self._answer(method, path, params, idempotency_key), path, shape)

    async def _answer(self, method: str, path: str, params: Params, idempotency_key: str | None = None) -> Answer:
        if self._pace is not None:
            await self._pace.turn()
        options: dict[str, object] = {"idempotency_key": idempotency_key} if idempotency_key else {}
        with translated(path):
            answer = await self._connected().raw_request_async(method, path, **params, **options)
        fields: Fields = answer.headers
        return Answer(fields.body, fields)

    @staticmethod
    def _decoded(answer: Answer, path: str, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.body, type=shape)
        except msgspec.DecodeError as error:
            raise Unavailable(
                f"Stripe's answer to {path} has another shape than expected: {error}",
                code="stripe_answer_not_understood",
                fix=f"leave STRIPE_API_VERSION at {SUPPORTED_API_VERSION}, or report this",
            ) from error

    async def _every(self, path: str, params: Params, shape: type[Found], last_id: str = "") -> AsyncIterator[Found]:
        """Each object of a list, page after page to its end."""
        shaped: type[wire.Page[Found]] = wire.Page[shape]  # type: ignore[valid-type]
        while True:
            after = {"starting_after": last_id} if last_id else {}
            page = await self._call("get", path, {**params, "limit": PAGE, **after}, shaped)
            for found in page.data:
                yield found
            if not page.has_more or not page.data:
                return
            last_id = page.data[-1].id

    async def require_answering(self) -> None:
        """Raises Unavailable when Stripe does not answer at all."""
        await self._call("get", "/v1/prices", {"limit": 1}, wire.Page[wire.Price])

    # --- customers ---

    async def create_customer(self, customer: str, attempt: str) -> str:
        """The Stripe customer for one of ours, the same for racing calls of one `attempt`. Its id."""
        params = {"metadata": {model.CUSTOMER_KEY: customer}}
        key = f"tollhouse-customer-{customer}-{attempt}"
        return (await self._call("post", "/v1/customers", params, wire.Named, key)).id

    async def describe_customer(
        self, stripe_id: str, *, email: str | None, name: str | None, locale: str | None
    ) -> None:
        """Tell Stripe who it is."""
        known = {"email": email, "name": name, "preferred_locales": [locale] if locale else None}
        params = {key: value for key, value in known.items() if value}
        if params:
            await self._call("post", path_of("/v1/customers", stripe_id), params, wire.Named)

    async def customer(self, stripe_id: str) -> model.StripeCustomer:
        """A customer of Stripe's, deleted ones too. Raises NotFound."""
        return translate.customer(await self._call("get", path_of("/v1/customers", stripe_id), {}, wire.Customer))

    async def all_customers(self) -> AsyncIterator[model.StripeCustomer]:
        """Every customer of this account, the newest first."""
        async for given in self._every("/v1/customers", {}, wire.Customer):
            yield translate.customer(given)

    async def all_subscriptions(self) -> AsyncIterator[tuple[str, model.Subscription]]:
        """Every subscription of this account that has not ended, with its customer."""
        async for given in self._every("/v1/subscriptions", {}, wire.Subscription):
            yield translate.name_of(given.customer) or "", translate.subscription(given)

    async def subscriptions(self, stripe_id: str) -> tuple[model.Subscription, ...]:
        """Every subscription of a customer in any status, ended ones too."""
        found = []
        params = {"customer": stripe_id, "status": "all", "expand": ["data.schedule"]}
        async for given in self._every("/v1/subscriptions", params, wire.Subscription):
            if given.items.has_more:
                given = msgspec.structs.replace(given, items=await self._whole_items(given))
            found.append(translate.subscription(given))
        return tuple(found)

    async def _whole_items(self, given: wire.Subscription) -> wire.Page[wire.SubscriptionItem]:
        rest = self._every(
            "/v1/subscription_items", {"subscription": given.id}, wire.SubscriptionItem, given.items.data[-1].id
        )
        return wire.Page[wire.SubscriptionItem]([*given.items.data, *[item async for item in rest]])

    async def invoices(self, stripe_id: str) -> tuple[model.Invoice, ...]:
        """Every invoice of a customer with all its lines, the newest first."""
        found = []
        async for given in self._every("/v1/invoices", {"customer": stripe_id}, wire.Invoice):
            if given.lines.has_more:
                path = path_of("/v1/invoices", given.id) + "/lines"
                rest = self._every(path, {}, wire.InvoiceLine, given.lines.data[-1].id)
                lines = wire.Page[wire.InvoiceLine]([*given.lines.data, *[line async for line in rest]])
                given = msgspec.structs.replace(given, lines=lines)
            payment = await self._payment_of(given) if given.status == "open" and given.amount_due else None
            found.append(translate.invoice(given, payment))
        return tuple(found)

    async def _payment_of(self, invoice: wire.Invoice) -> str | None:
        """The status of the payment that collects an open invoice, as this version of Stripe's API tells it."""
        known = translate.name_of(invoice.payment_intent)
        if known is not None:
            return await self._intent_status(known)
        params = {"invoice": invoice.id, "status": "open", "expand": ["data.payment.payment_intent"]}
        async for found in self._every("/v1/invoice_payments", params, wire.InvoicePayment):
            if isinstance(found.payment.payment_intent, wire.PaymentIntent):
                return found.payment.payment_intent.status
        return None

    async def _intent_status(self, intent: str) -> str:
        return (await self._call("get", path_of("/v1/payment_intents", intent), {}, wire.PaymentIntent)).status

    async def snapshot(self, stripe_id: str, *, packs: bool = True) -> model.Snapshot:
        """Everything about one customer's billing, as it stands now; a customer who never bought a pack needs no `packs`."""
        subscriptions, invoices = await self.subscriptions(stripe_id), await self.invoices(stripe_id)
        purchases, awaited = await self.purchases(stripe_id) if packs else ((), ())
        return model.Snapshot(stripe_id, subscriptions, invoices, purchases=purchases, awaited=awaited)

    async def purchases(self, stripe_id: str) -> tuple[tuple[model.Purchase, ...], tuple[model.AwaitedPack, ...]]:
        """Every pack that this customer has paid; and those that a bank has been asked to pay."""
        params = {"customer": stripe_id, "status": "complete", "expand": ["data.payment_intent.latest_charge"]}
        purchases, awaited = [], []
        async for session in self._every("/v1/checkout/sessions", params, wire.CheckoutSession):
            purchase, intent = translate.purchase(session), session.payment_intent
            if purchase is not None:
                purchases.append(purchase)
            elif (
                session.mode == "payment" and session.payment_status == "unpaid" and isinstance(intent, wire.PaidIntent)
            ):
                awaited.append(translate.awaited_pack(session, intent))
        return tuple(purchases), tuple(awaited)

    async def refunded(self, stripe_id: str) -> dict[str, int]:
        """By invoice, else by payment intent: what was given back, or was lost to a dispute, in minor units."""
        found: dict[str, int] = {}
        async for charge in self._every("/v1/charges", {"customer": stripe_id}, wire.Charge):
            gone = charge.amount_refunded
            if charge.disputed:
                disputes = self._every("/v1/disputes", {"charge": charge.id}, wire.Dispute)
                gone += sum([dispute.amount async for dispute in disputes if dispute.status == "lost"])
            if not gone:
                continue
            place = await self._invoice_of(charge) or translate.name_of(charge.payment_intent)
            if place is not None:
                found[place] = found.get(place, 0) + min(gone, charge.amount)
        return found

    async def _invoice_of(self, charge: wire.Charge) -> str | None:
        intent = translate.name_of(charge.payment_intent)
        if charge.invoice is not None or intent is None or self.api_version < FIRST_WITH_PAYMENTS:
            return translate.name_of(charge.invoice)
        params = {"payment": {"type": "payment_intent", "payment_intent": intent}, "limit": 1}
        page = await self._call("get", "/v1/invoice_payments", params, wire.Page[wire.InvoicePayment])
        return translate.name_of(page.data[0].invoice) if page.data else None

    async def payer_of_charge(self, charge: str) -> str | None:
        """Which customer of Stripe's made this payment. Raises NotFound."""
        return translate.name_of((await self._call("get", path_of("/v1/charges", charge), {}, wire.Charge)).customer)

    async def event(self, event_id: str) -> str:
        """An event as Stripe tells it, as JSON. Raises NotFound."""
        return bytes(await self._call("get", path_of("/v1/events", event_id), {}, msgspec.Raw)).decode()

    # --- products and prices ---

    async def price(self, price_id: str) -> model.PriceFacts:
        """One price. Raises NotFound."""
        return translate.price(await self._call("get", path_of("/v1/prices", price_id), {}, wire.Price))

    async def price_of_key(self, lookup_key: str) -> model.PriceFacts | None:
        """The active price that carries this lookup key."""
        params = {"lookup_keys": [lookup_key], "active": True, "limit": 1}
        page = await self._call("get", "/v1/prices", params, wire.Page[wire.Price])
        return translate.price(page.data[0]) if page.data else None

    async def prices_of(self, product_id: str) -> tuple[model.PriceFacts, ...]:
        """The active prices of a product, the newest first."""
        found = self._every("/v1/prices", {"product": product_id, "active": True}, wire.Price)
        return tuple([translate.price(price) async for price in found])

    async def name_price(self, price_id: str, lookup_key: str) -> None:
        """Give a lookup key to a price that has none; it leaves whichever price had it."""
        params = {"lookup_key": lookup_key, "transfer_lookup_key": True}
        await self._call("post", path_of("/v1/prices", price_id), params, wire.Price)

    async def product(self, product_id: str) -> ProductFacts | None:
        """A product, archived ones too."""
        try:
            return translate.product(await self._call("get", path_of("/v1/products", product_id), {}, wire.Product))
        except NotFound:
            return None

    async def save_product(self, product_id: str | None, params: Params) -> None:
        """Make a product, or change the one of this id; by Stripe's names."""
        path = "/v1/products" if product_id is None else path_of("/v1/products", product_id)
        await self._call("post", path, params, wire.Product)

    async def create_price(
        self,
        product_id: str,
        *,
        amount_minor: int,
        currency: str,
        every: str,
        lookup_key: str,
        metadata: Mapping[str, str],
    ) -> model.PriceFacts:
        """A price (recurring unless `every` is empty) that takes over its lookup key from whichever price has it."""
        params: dict[str, object] = {
            "product": product_id,
            "unit_amount": amount_minor,
            "currency": currency,
            "lookup_key": lookup_key,
            "transfer_lookup_key": True,
            "metadata": dict(metadata),
        }
        if every:
            params["recurring"] = {"interval": every}
        return translate.price(await self._call("post", "/v1/prices", params, wire.Price))

    # --- pages of Stripe's ---

    async def create_checkout(
        self,
        stripe_id: str,
        price_id: str,
        *,
        mode: Literal["subscription", "payment"],
        customer: str,
        metadata: Mapping[str, str],
        success_url: str,
        cancel_url: str,
        terms: Terms,
        coupon: str | None = None,
        expires_at: int | None = None,
    ) -> model.CheckoutSession:
        """A Checkout page on which this customer subscribes to this price, or pays it once, less what `coupon` takes off and
        taxed as the terms say.

        It closes at `expires_at` (ms), 24 hours on by default.
        """
        made = "subscription_data" if mode == "subscription" else "payment_intent_data"
        params: dict[str, object] = {
            "mode": mode,
            "customer": stripe_id,
            "client_reference_id": customer,
            "line_items": [{"price": price_id, "quantity": 1}],
            "metadata": dict(metadata),
            made: {"metadata": dict(metadata)},
            "success_url": success_url,
            "cancel_url": cancel_url,
            **taxation(terms),
        }
        if coupon is not None:
            params["discounts"] = [{"coupon": coupon}]
        if expires_at is not None:
            params["expires_at"] = expires_at // 1000
        return translate.checkout_session(
            await self._call("post", "/v1/checkout/sessions", params, wire.CheckoutSession)
        )

    async def open_checkouts(
        self, stripe_id: str, mode: str | None = "subscription"
    ) -> tuple[model.CheckoutSession, ...]:
        """This customer's Checkout pages on which it can still subscribe; without a mode, all on which it can pay."""
        params = {"customer": stripe_id, "status": "open"}
        found = self._every("/v1/checkout/sessions", params, wire.CheckoutSession)
        return tuple([translate.checkout_session(page) async for page in found if mode in (None, page.mode)])

    async def expire_checkout(self, session_id: str) -> None:
        """Close a Checkout page. Raises InvalidRequest when it is not open any more."""
        await self._call("post", path_of("/v1/checkout/sessions", session_id) + "/expire", {}, wire.Named)

    async def create_portal(self, stripe_id: str, return_url: str, product: str = "") -> str:
        """The address of a page on which the customer manages its subscription, cards and invoices: as this product's
        own configuration has it, else the account's default one.
        """
        configuration = await self._portal_configuration(product) if product else None
        named = {"configuration": configuration} if configuration is not None else {}
        params = {"customer": stripe_id, "return_url": return_url, **named}
        return (await self._call("post", "/v1/billing_portal/sessions", params, wire.PortalSession)).url

    async def _portal_configuration(self, product: str) -> str | None:
        """What `tollhouse stripe setup` made for this product; looked up again after five minutes."""
        now = asyncio.get_running_loop().time()
        if self._portal is None or now > self._portal[1]:
            params = {"active": True}
            found = self._every("/v1/billing_portal/configurations", params, wire.PortalConfiguration)
            ids = [known.id async for known in found if (known.metadata or {}).get(PRODUCT_KEY) == product]
            self._portal = (ids[0] if ids else None, now + PORTAL_SECONDS)
        return self._portal[0]


def path_of(collection: str, identifier: str) -> str:
    """The path of one object of a collection."""
    return f"{collection}/{quote(identifier, safe='')}"
