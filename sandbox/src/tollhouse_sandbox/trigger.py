"""`stripe trigger` without the CLI: builds the real objects that lead to an event."""

from collections.abc import Callable

import msgspec

from tollhouse_sandbox.billing import (
    agenda,
    catalog,
    checkout,
    customers,
    payment_methods,
    payments,
    refunds,
    setups,
    subscriptions,
)
from tollhouse_sandbox.billing import invoices as billing_invoices
from tollhouse_sandbox.cards import Card, token_card
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.errors import no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.resources import checkout_sessions
from tollhouse_sandbox.world import World


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to bring about, for whom (a new customer unless given), with which price (the first recurring one unless given)."""

    event: str
    customer: str | None = None
    price: str | None = None
    lookup_key: str | None = None
    email: str | None = None
    livemode: bool = False
    metadata: dict[str, str] = {}


class Scene(msgspec.Struct, frozen=True):
    """The customer and the price that the events are about."""

    world: World
    order: Order
    customer: Doc
    price: Doc


def fire(world: World, order: Order) -> Doc:
    """Brings the event about. Answers the ids of everything emitted, those of the wanted type in `matched`."""
    customer, price = _customer(world, order), _price(world, order)
    already = world.store.count("event")
    TRIGGERS[order.event](Scene(world, order, customer, price))
    agenda.catch_up(world)
    emitted = list(world.store.oldest("event"))[already:]
    return {
        "event": order.event,
        "customer": customer["id"],
        "ids": [event["id"] for event in emitted],
        "events": [{"id": event["id"], "type": event["type"]} for event in emitted],
        "matched": [event["id"] for event in emitted if event["type"] == order.event],
    }


def _customer(world: World, order: Order) -> Doc:
    if order.customer is None:
        email = order.email or "trigger@example.com"
        return customers.create(world, livemode=order.livemode, email=email, description="(created by trigger)")
    found = world.store.get("customer", order.customer)
    if found is None or found["livemode"] != order.livemode:
        raise no_such("customer", order.customer, "customer")
    return found


def _price(world: World, order: Order) -> Doc:
    if order.price:
        found = world.store.get("price", order.price)
        if found is None or found["livemode"] != order.livemode:
            raise no_such("price", order.price, "price")
        return found
    prices = (
        world.store.where("price", "lookup_key", order.lookup_key) if order.lookup_key else world.store.oldest("price")
    )
    for price in prices:
        if price["livemode"] == order.livemode and price["active"] and price["recurring"]:
            return price
    if order.lookup_key:
        raise no_such("price", order.lookup_key, "lookup_key")
    product = catalog.create_product(
        world, livemode=order.livemode, name="myproduct", description="(created by trigger)"
    )
    return catalog.create_price(
        world, product, currency=world.config.currency, unit_amount=1500, recurring={"interval": "month"}
    )


def _card(scene: Scene, token: str) -> Card:
    card = token_card(token, scene.world.clock.now())
    if card is None:
        raise LookupError(f"no test card {token}")
    return card


def _method(scene: Scene, token: str) -> Doc:
    """A card of the customer's, and its default from now on."""
    world = scene.world
    method = payment_methods.create(world, _card(scene, token), livemode=scene.order.livemode)
    payment_methods.bind(world, method, scene.customer["id"])
    before = snapshot(scene.customer)
    scene.customer["invoice_settings"]["default_payment_method"] = method["id"]
    world.emit_change("customer.updated", scene.customer, before)
    return method


def _live_subscription(scene: Scene) -> Doc | None:
    for subscription in scene.world.store.where("subscription", "customer", scene.customer["id"]):
        if subscription["status"] in ("active", "trialing", "past_due"):
            return subscription
    return None


def _subscribe(scene: Scene) -> Doc:
    world = scene.world
    method = _method(scene, "pm_card_visa")
    subscription, invoice = subscriptions.create(
        world, scene.customer, [{"price": scene.price, "quantity": 1}], metadata=dict(scene.order.metadata)
    )
    billing_invoices.collect(world, invoice, method, off_session=True)
    subscriptions.settle_invoice(world, invoice)
    return subscription


def _checkout_completed(scene: Scene) -> None:
    parameters: Doc = {
        "mode": "subscription",
        "customer": scene.customer["id"],
        "success_url": "https://example.com/success",
        "cancel_url": "https://example.com/cancel",
        "line_items": [{"price": scene.price["id"], "quantity": "1"}],
        "metadata": dict(scene.order.metadata),
    }
    call = Call(world=scene.world, livemode=scene.order.livemode, path="/v1/checkout/sessions", ids=(), sent=parameters)
    session = checkout_sessions.create(call)
    card = _card(scene, "pm_card_visa")
    checkout.pay(scene.world, session, card, scene.customer["email"] or "trigger@example.com", "Test Trigger")


def _subscription_created(scene: Scene) -> None:
    _subscribe(scene)


def _subscription_updated(scene: Scene) -> None:
    """The customer's subscription gets another metadata value, and the wanted price if it has another."""
    subscription = _live_subscription(scene) or _subscribe(scene)
    before = snapshot(subscription)
    count = (
        int(subscription["metadata"].get("trigger", "0"))
        if subscription["metadata"].get("trigger", "0").isdigit()
        else 0
    )
    subscription["metadata"] = {**subscription["metadata"], **scene.order.metadata, "trigger": str(count + 1)}
    item = subscription["items"]["data"][0]
    if (scene.order.price or scene.order.lookup_key) and item["price"] is not scene.price:
        item.update(price=scene.price, plan=scene.world.store.get("plan", scene.price["id"]))
    scene.world.emit_change("customer.subscription.updated", subscription, before)


def _subscription_deleted(scene: Scene) -> None:
    subscriptions.end(scene.world, _live_subscription(scene) or _subscribe(scene), "cancellation_requested")


def _invoice_paid(scene: Scene) -> None:
    """The next period is paid early; without a subscription, a first one."""
    subscription = _live_subscription(scene)
    if subscription is None:
        _subscribe(scene)
        return
    subscription["default_payment_method"] = _method(scene, "pm_card_visa")["id"]
    _renew_now(scene, subscription)


def _invoice_failed(scene: Scene) -> None:
    """A renewal that the card on file declines."""
    subscription = _live_subscription(scene) or _subscribe(scene)
    subscription["default_payment_method"] = _method(scene, "pm_card_chargeCustomerFail")["id"]
    _renew_now(scene, subscription)


def _renew_now(scene: Scene, subscription: Doc) -> None:
    invoice = subscriptions.renew(scene.world, subscription, start=scene.world.clock.now())
    if invoice["status"] == "draft":
        subscriptions.collect_renewal(scene.world, invoice)


def _intent(scene: Scene, token: str) -> Doc:
    world = scene.world
    intent = payments.create_intent(
        world,
        amount=2000,
        currency=world.config.currency,
        livemode=scene.order.livemode,
        customer=scene.customer["id"],
        description="(created by trigger)",
        metadata=dict(scene.order.metadata),
        automatic=True,
    )
    method = payment_methods.create(world, _card(scene, token), livemode=scene.order.livemode)
    payments.confirm(world, intent, method, off_session=False)
    return intent


def _paid(scene: Scene) -> None:
    _intent(scene, "pm_card_visa")


def _declined(scene: Scene) -> None:
    _intent(scene, "pm_card_chargeDeclined")


def _disputed(scene: Scene) -> None:
    _intent(scene, "pm_card_createDispute")


def _refunded(scene: Scene) -> None:
    charge = scene.world.store.get("charge", _intent(scene, "pm_card_visa")["latest_charge"])
    if charge:
        refunds.create(scene.world, charge, amount=None, reason=None, metadata=dict(scene.order.metadata))


def _setup_succeeded(scene: Scene) -> None:
    intent = setups.create(scene.world, livemode=scene.order.livemode, customer=scene.customer["id"])
    method = payment_methods.create(scene.world, _card(scene, "pm_card_visa"), livemode=scene.order.livemode)
    setups.confirm(scene.world, intent, method)


TRIGGERS: dict[str, Callable[[Scene], None]] = {
    "checkout.session.completed": _checkout_completed,
    "customer.subscription.created": _subscription_created,
    "customer.subscription.updated": _subscription_updated,
    "customer.subscription.deleted": _subscription_deleted,
    "invoice.payment_succeeded": _invoice_paid,
    "invoice.paid": _invoice_paid,
    "invoice.payment_failed": _invoice_failed,
    "payment_intent.succeeded": _paid,
    "payment_intent.payment_failed": _declined,
    "charge.refunded": _refunded,
    "charge.dispute.created": _disputed,
    "setup_intent.succeeded": _setup_succeeded,
}
