"""Checkout sessions: what paying on the hosted page sets off."""

import msgspec

from tollhouse_sandbox.banks import Account
from tollhouse_sandbox.billing import (
    checkout_tax,
    coupons,
    customers,
    discounts,
    invoices,
    payment_methods,
    payments,
    setups,
    subscriptions,
    tax_ids,
)
from tollhouse_sandbox.billing.payment_methods import NO_ADDRESS
from tollhouse_sandbox.cards import NOT_AUTHENTICATED_SETUP, Card, Decline
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.world import World


class Outcome(msgspec.Struct, frozen=True):
    """What became of an attempt to pay: complete, declined with a reason, or the card's owner has to authenticate."""

    state: str
    decline: Decline | None = None


_COMPLETE = Outcome("complete")
_AUTHENTICATE = Outcome("authenticate")


def set_offer(world: World, session: Doc, offer: Doc | None) -> None:
    """Prices the session with the coupon, which is redeemed when it is paid, or without one."""
    known = world.private(session["id"])
    lines = known["line_items"]
    parts = [(line["price"]["product"], line["amount_subtotal"]) for line in lines]
    taken = discounts.shares([offer], parts)[0] if offer else [0] * len(lines)
    for line, off in zip(lines, taken, strict=True):
        line["amount_discount"] = off
    world.keep_private(session["id"], line_items=lines, offer=offer)
    session["discounts"] = [_shown(offer)] if offer else []
    checkout_tax.recount(world, session)


def _shown(offer: Doc) -> Doc:
    """A code stands for its coupon."""
    code = offer["promotion_code"]
    return {"coupon": None if code else offer["coupon"]["id"], "promotion_code": code}


def redeem_code(world: World, session: Doc, text: str) -> str | None:
    """Takes the code that was typed on the page; answers why not, or None."""
    promotion = coupons.active_code(world, text, livemode=session["livemode"], customer=session["customer"])
    coupon = world.store.get("coupon", promotion["promotion"]["coupon"]) if promotion else None
    if promotion is None or coupon is None:
        return "This code is invalid."
    amount, currency = session["amount_subtotal"], session["currency"]
    refused = discounts.refusal(world, coupon, promotion, session["customer"], amount, currency)
    if refused is None:
        set_offer(world, session, discounts.offer(world, coupon, promotion))
    return refused


def expire(world: World, session: Doc) -> Doc:
    """Closes an open session."""
    session.update(status="expired", url=None)
    world.store.put("checkout.session", session)
    world.emit("checkout.session.expired", session)
    return session


def pay(world: World, session: Doc, means: Card | Account, email: str, name: str) -> Outcome:
    """Submits the page with a card or an account that could be read."""
    address = checkout_tax.address_of(world, session) or {**NO_ADDRESS, "country": world.config.country}
    billing = {"email": email, "name": name, "address": address}
    return confirm(world, session, payment_methods.create(world, means, livemode=session["livemode"], billing=billing))


def confirm(world: World, session: Doc, method: Doc) -> Outcome:
    """Submits the page with a card that Stripe knows already; its billing details say whose it is."""
    email, name = method["billing_details"]["email"] or session["customer_email"], method["billing_details"]["name"]
    world.keep_private(session["id"], method=method["id"], email=email, name=name)
    return _attempt(world, session, method, authenticated=False)


def authenticate(world: World, session: Doc, *, success: bool) -> Outcome:
    """The card's owner has completed, or failed, the authentication that a payment asked for."""
    known = world.private(session["id"])
    method = world.store.get("payment_method", known.get("method", ""))
    if method is None:
        return Outcome("declined", Decline("session_without_card", "Enter your card again."))
    if success:
        return _attempt(world, session, method, authenticated=True)
    intent = world.store.get("payment_intent", known.get("intent", ""))
    if intent:
        return Outcome("declined", payments.refuse_authentication(world, intent, method))
    return Outcome("declined", NOT_AUTHENTICATED_SETUP)


def tell_of_the_bank(world: World, session: Doc, *, paid: bool) -> None:
    """What became of the debit with which a session was completed."""
    if paid:
        session["payment_status"] = "paid"
    world.store.put("checkout.session", session)
    outcome = "succeeded" if paid else "failed"
    world.emit(f"checkout.session.async_payment_{outcome}", session)


def _attempt(world: World, session: Doc, method: Doc, *, authenticated: bool) -> Outcome:
    behaviour = payment_methods.behaviour_of(world, method)
    if session["payment_status"] == "no_payment_required" or session["mode"] == "setup":
        if behaviour.authentication != "never" and not authenticated:
            return _AUTHENTICATE
        if behaviour.attach_decline:
            return Outcome("declined", behaviour.attach_decline)
    elif (behaviour.authentication != "never" and not authenticated) or behaviour.decline:
        intent = _intent(world, session)
        decline = payments.confirm(world, intent, method, off_session=False, authenticated=authenticated)
        return Outcome("declined", decline) if decline else _AUTHENTICATE
    return _complete(world, session, method, authenticated=authenticated)


def _intent(world: World, session: Doc) -> Doc:
    """The one payment intent of all attempts on this page."""
    known = world.private(session["id"])
    found = world.store.get("payment_intent", known.get("intent", ""))
    if found:
        return found
    data = known.get("payment_intent_data") or {}
    subscribing = session["mode"] == "subscription"
    intent = payments.create_intent(
        world,
        amount=session["amount_total"],
        currency=session["currency"],
        livemode=session["livemode"],
        customer=session["customer"],
        description="Subscription creation" if subscribing else data.get("description"),
        metadata=data.get("metadata"),
        setup_future_usage="off_session" if subscribing else data.get("setup_future_usage"),
        receipt_email=data.get("receipt_email"),
        shipping=data.get("shipping"),
        types=session["payment_method_types"],
    )
    world.keep_private(session["id"], intent=intent["id"])
    return intent


def _complete(world: World, session: Doc, method: Doc, *, authenticated: bool) -> Outcome:
    customer = _customer(world, session)
    checkout_tax.keep(world, session, customer)
    match session["mode"]:
        case "subscription" if customer:
            _subscribe(world, session, customer, method, authenticated=authenticated)
        case "setup":
            key = customer["id"] if customer else None
            intent = setups.create(world, livemode=session["livemode"], customer=key)
            setups.confirm(world, intent, method, authenticated=authenticated)
            session["setup_intent"] = intent["id"]
        case _:
            _pay_once(world, session, customer, method, authenticated=authenticated)
    known = world.private(session["id"])
    session.update(status="complete", url=None, customer=customer["id"] if customer else None)
    session["customer_details"] = {
        "address": snapshot(method["billing_details"]["address"]),
        "business_name": None,
        "email": customer["email"] if customer and customer["email"] else known.get("email"),
        "individual_name": None,
        "name": known.get("name"),
        "phone": None,
        "tax_exempt": customer["tax_exempt"] if customer else "none",
        "tax_ids": tax_ids.shown(world, session["customer"]),
    }
    world.store.put("checkout.session", session)
    world.emit("checkout.session.completed", session)
    return _COMPLETE


def _pay_once(world: World, session: Doc, customer: Doc | None, method: Doc, *, authenticated: bool) -> None:
    """Charges what the session costs, which may be nothing, and redeems its coupon."""
    offer = world.private(session["id"]).get("offer")
    if session["amount_total"]:
        intent = _intent(world, session)
        intent["customer"] = customer["id"] if customer else None
        payments.confirm(world, intent, method, off_session=False, authenticated=authenticated)
        session["payment_intent"] = intent["id"]
        if intent["status"] == "succeeded":
            session["payment_status"] = "paid"
        else:
            world.keep_private(intent["id"], session=session["id"])
        if customer and intent["setup_future_usage"]:
            payment_methods.bind(world, method, customer["id"])
    if offer:
        coupons.redeem(world, offer["coupon"]["id"], offer["promotion_code"])


def _customer(world: World, session: Doc) -> Doc | None:
    """The session's customer, made now if it needs one."""
    if session["customer"]:
        return world.store.get("customer", session["customer"])
    if session["mode"] != "subscription" and session["customer_creation"] != "always":
        return None
    known = world.private(session["id"])
    return customers.create(world, livemode=session["livemode"], email=known.get("email"), name=known.get("name"))


def _subscribe(world: World, session: Doc, customer: Doc, method: Doc, *, authenticated: bool) -> None:
    known = world.private(session["id"])
    data = known.get("subscription_data") or {}
    trial_end = data.get("trial_end")
    if data.get("trial_period_days"):
        trial_end = world.clock.now() + data["trial_period_days"] * 86_400
    wanted = [
        {"price": world.store.get("price", line["price"]["id"]), "quantity": line["quantity"]}
        for line in known["line_items"]
    ]
    payment_methods.bind(world, method, customer["id"])
    intent = world.store.get("payment_intent", known.get("intent", ""))
    if intent and session["amount_total"] == 0:
        payments.cancel(world, intent, "abandoned")
        intent = None
    if intent:
        intent["customer"] = customer["id"]
    subscription, invoice = subscriptions.create(
        world,
        customer,
        wanted,
        metadata=data.get("metadata"),
        description=data.get("description"),
        trial_end=trial_end,
        intent=intent,
        offers=[known["offer"]] if known.get("offer") else [],
        automatic_tax=bool(session["automatic_tax"]["enabled"]),
    )
    if invoice["status"] == "open":
        invoices.collect(world, invoice, method, off_session=False, authenticated=authenticated)
    subscriptions.activate(world, subscription, method=method["id"])
    session.update(subscription=subscription["id"], invoice=invoice["id"])
    if invoice["status"] == "open" and (waiting := invoices.intent_of(world, invoice)):
        world.keep_private(waiting["id"], session=session["id"])
    elif session["payment_status"] != "no_payment_required":
        session["payment_status"] = "paid"
