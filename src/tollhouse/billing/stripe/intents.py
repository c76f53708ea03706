"""Payment and setup intents, the cards that they leave, and subscribing without a Checkout page.

Calls of the gateway's, over the network. Client secrets go through here to the customer's browser and are kept nowhere.
"""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from tollhouse.billing import model
from tollhouse.billing.stripe import wire
from tollhouse.billing.stripe.gateway import FIRST_WITH_PAYMENTS, StripeGateway
from tollhouse.billing.stripe.translate import name_of


class _Failure(msgspec.Struct, frozen=True):
    type: str = ""
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None


class _PaymentIntent(msgspec.Struct, frozen=True):
    id: str
    status: str
    amount: int
    currency: str
    created: int
    customer: wire.Reference | None = None
    invoice: wire.Reference | None = None
    latest_charge: wire.Reference | None = None
    last_payment_error: _Failure | None = None
    client_secret: str | None = None


class _SetupIntent(msgspec.Struct, frozen=True):
    id: str
    status: str
    customer: wire.Reference | None = None
    payment_method: wire.Reference | None = None
    client_secret: str | None = None


class _InvoiceSettings(msgspec.Struct, frozen=True):
    default_payment_method: wire.Reference | None = None


class _Customer(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = False
    invoice_settings: _InvoiceSettings = _InvoiceSettings()


class _Made(msgspec.Struct, frozen=True):
    id: str
    status: str
    latest_invoice: wire.Reference | None = None


class _PaidBy(msgspec.Struct, frozen=True):
    payment_intent: wire.Reference | None = None


class _InvoicePayment(msgspec.Struct, frozen=True):
    payment: _PaidBy = _PaidBy()


class _Invoice(msgspec.Struct, frozen=True):
    id: str
    payments: wire.Page[_InvoicePayment] | None = None
    payment_intent: wire.Reference | None = None


class Opened(msgspec.Struct, frozen=True):
    """An intent that the customer's browser goes on with, by its secret."""

    id: str
    status: str
    client_secret: str

    def __repr__(self) -> str:
        return f"Opened({self.id!r}, {self.status!r}, …)"


class NewSubscription(msgspec.Struct, frozen=True):
    """A subscription that has just been made, and the invoice of its first period."""

    id: str
    status: str
    invoice: str | None


async def payment(gateway: StripeGateway, intent: str) -> model.Payment:
    """A payment intent, with the invoice that it pays. Raises NotFound."""
    given = await _payment_intent(gateway, intent)
    through = wire.Charge("", payment_intent=given.id, invoice=given.invoice)
    return _payment(given, await gateway._invoice_of(through))


async def setup(gateway: StripeGateway, intent: str) -> model.Setup:
    """A setup intent. Raises NotFound."""
    given = await gateway._call("get", _path("/v1/setup_intents", intent), {}, _SetupIntent)
    return model.Setup(given.id, name_of(given.customer), given.status, name_of(given.payment_method))


async def open_setup(gateway: StripeGateway, stripe_id: str, customer: str) -> Opened:
    """A setup intent by which the browser of this customer brings a card to be kept and charged later."""
    params = {
        "customer": stripe_id,
        "usage": "off_session",
        "automatic_payment_methods": {"enabled": True},
        "metadata": {model.CUSTOMER_KEY: customer},
    }
    given = await gateway._call("post", "/v1/setup_intents", params, _SetupIntent)
    return Opened(given.id, given.status, given.client_secret or "")


async def default_method(gateway: StripeGateway, stripe_id: str) -> str | None:
    """The payment method that pays this customer's invoices."""
    given = await gateway._call("get", _path("/v1/customers", stripe_id), {}, _Customer)
    return name_of(given.invoice_settings.default_payment_method)


async def set_default_method(gateway: StripeGateway, stripe_id: str, method: str) -> None:
    """From now on this pays the customer's invoices. Raises InvalidRequest when it is not the customer's."""
    params = {"invoice_settings": {"default_payment_method": method}}
    await gateway._call("post", _path("/v1/customers", stripe_id), params, wire.Named)


async def set_method(gateway: StripeGateway, subscription: str, method: str) -> None:
    """From now on this pays the subscription."""
    params = {"default_payment_method": method}
    await gateway._call("post", _path("/v1/subscriptions", subscription), params, wire.Named)


async def pay(gateway: StripeGateway, invoice: str, method: str, key: str) -> None:
    """Pay an open invoice with this; one `key` pays once. Raises InvalidRequest when the card is declined."""
    path = _path("/v1/invoices", invoice) + "/pay"
    await gateway._call("post", path, {"payment_method": method, "off_session": True}, wire.Named, key)


async def void(gateway: StripeGateway, invoice: str) -> None:
    """Nobody has to pay this open invoice any more. Raises InvalidRequest when it is not open."""
    await gateway._call("post", _path("/v1/invoices", invoice) + "/void", {}, wire.Named)


async def cancel(gateway: StripeGateway, subscription: str) -> None:
    """End a subscription at once. Raises NotFound when it has ended."""
    await gateway._call("delete", _path("/v1/subscriptions", subscription), {}, wire.Named)


async def subscribe(
    gateway: StripeGateway, stripe_id: str, price: str, method: str, metadata: Mapping[str, str], key: str,
    coupon: str | None = None,
) -> NewSubscription:  # fmt: skip
    """Subscribe the customer to this price, paid with this method at once; `incomplete` where that did not go through."""
    params: dict[str, object] = {
        "customer": stripe_id,
        "items": [{"price": price, "quantity": 1}],
        "default_payment_method": method,
        "payment_behavior": "allow_incomplete",
        "off_session": False,
        "metadata": dict(metadata),
    }
    if coupon is not None:
        params["discounts"] = [{"coupon": coupon}]
    made = await gateway._call("post", "/v1/subscriptions", params, _Made, key)
    return NewSubscription(made.id, made.status, name_of(made.latest_invoice))


async def first_payment(gateway: StripeGateway, invoice: str) -> tuple[model.Payment, Opened] | None:
    """How the payment of this invoice stands, and what the browser needs to go on with it; None without a payment."""
    listed = gateway.api_version >= FIRST_WITH_PAYMENTS
    params = {"expand": ["payments"]} if listed else {}
    found = await gateway._call("get", _path("/v1/invoices", invoice), params, _Invoice)
    named = name_of(found.payment_intent)
    if found.payments is not None and found.payments.data:
        named = name_of(found.payments.data[0].payment.payment_intent)
    if named is None:
        return None
    given = await _payment_intent(gateway, named)
    return _payment(given, invoice), Opened(given.id, given.status, given.client_secret or "")


def _path(collection: str, identifier: str) -> str:
    return f"{collection}/{quote(identifier, safe='')}"


async def _payment_intent(gateway: StripeGateway, intent: str) -> _PaymentIntent:
    return await gateway._call("get", _path("/v1/payment_intents", intent), {}, _PaymentIntent)


def _payment(given: _PaymentIntent, invoice: str | None) -> model.Payment:
    failure = given.last_payment_error if given.status in ("requires_payment_method", "canceled") else None
    code = failure.decline_code or failure.code if failure is not None else None
    return model.Payment(
        id=given.id,
        customer=name_of(given.customer),
        status=given.status,
        amount_minor=given.amount,
        currency=given.currency,
        created_at=given.created * 1000,
        invoice=invoice,
        charge=name_of(given.latest_charge),
        failure_code=code,
        failure=failure.message if failure is not None else None,
        declined=failure is not None
        and (failure.type == "card_error" or failure.code == "payment_intent_authentication_failure"),
    )
