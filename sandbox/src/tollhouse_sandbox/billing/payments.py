"""Payment intents and the charges that they make."""

from collections.abc import Sequence

from tollhouse_sandbox.billing import payment_methods
from tollhouse_sandbox.cards import AUTHENTICATION_REQUIRED, NOT_AUTHENTICATED, Behaviour, Decline
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.shapes import CHARGE, PAYMENT_INTENT
from tollhouse_sandbox.world import World

_MINUTES = 180


def create_intent(
    world: World,
    *,
    amount: int,
    currency: str,
    livemode: bool,
    customer: str | None,
    description: str | None = None,
    metadata: Doc | None = None,
    setup_future_usage: str | None = None,
    receipt_email: str | None = None,
    shipping: Doc | None = None,
    automatic: bool = False,
    types: Sequence[str] = ("card",),
) -> Doc:
    """A payment intent (amount in minor units) that waits for a payment method, which may be of these types."""
    key = new_id("pi")
    intent: Doc = {
        "id": key,
        "object": "payment_intent",
        **snapshot(PAYMENT_INTENT),
        "amount": amount,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True} if automatic else None,
        "client_secret": f"{key}_secret_{random_text(25)}",
        "created": world.clock.now(),
        "currency": currency,
        "customer": customer,
        "description": description,
        "livemode": livemode,
        "metadata": metadata or {},
        "payment_method_types": list(types),
        "receipt_email": receipt_email,
        "setup_future_usage": setup_future_usage,
        "shipping": whole_shipping(shipping),
    }
    if "sepa_debit" in types:
        intent["payment_method_options"]["sepa_debit"] = {}
    world.store.put("payment_intent", intent)
    world.emit("payment_intent.created", intent)
    return intent


def whole_shipping(given: Doc | None) -> Doc | None:
    """The address of delivery with all its fields."""
    if given is None:
        return None
    address = {**payment_methods.NO_ADDRESS, **(given["address"] or {})}
    return {"carrier": None, "phone": None, "tracking_number": None, **given, "address": address}


def confirm(
    world: World,
    intent: Doc,
    method: Doc,
    *,
    off_session: bool,
    authenticated: bool = False,
    asks_owner: bool = False,
    return_url: str | None = None,
) -> Decline | None:
    """Charges the card or account. Answers the decline, or None: then the intent has succeeded, or is `processing`, or
    `requires_action`.

    `asks_owner` lets it wait for the card's owner even off session.
    """
    behaviour = payment_methods.behaviour_of(world, method)
    set_up = bool(world.private(method["id"]).get("set_up"))
    wants_owner = behaviour.authentication == "always" or (behaviour.authentication == "until_set_up" and not set_up)
    intent["payment_method"] = method["id"]
    intent["next_action"] = None
    if wants_owner and not authenticated and (asks_owner or not off_session):
        _ask_for_authentication(world, intent, return_url)
        return None
    if wants_owner and not authenticated:
        decline: Decline | None = AUTHENTICATION_REQUIRED
    else:
        decline = behaviour.off_session_decline if off_session else behaviour.decline
    charge = _charge(world, intent, method, decline)
    intent["latest_charge"] = charge["id"]
    if decline:
        return _fail(world, intent, method, charge, decline)
    if authenticated:
        world.keep_private(method["id"], set_up=True)
    if behaviour.settles != "at_once":
        _wait_for_the_bank(world, intent, charge, behaviour)
        return None
    _succeed(world, intent, charge, behaviour)
    return None


def _succeed(world: World, intent: Doc, charge: Doc, behaviour: Behaviour) -> None:
    intent.update(status="succeeded", amount_received=intent["amount"], last_payment_error=None)
    world.store.put("payment_intent", intent)
    world.emit("charge.succeeded", charge)
    world.emit("payment_intent.succeeded", intent)
    if behaviour.dispute:
        world.plan_for(world.clock.now(), "dispute", charge["id"])


def _wait_for_the_bank(world: World, intent: Doc, charge: Doc, behaviour: Behaviour) -> None:
    """The debit is under way: it is told later, by the clock, what became of it."""
    minutes = behaviour.settles == "minutes"
    at = world.clock.now() + (_MINUTES if minutes else world.config.debit_days * 86_400)
    intent.update(status="processing", last_payment_error=None)
    world.keep_private(intent["id"], bank_answers_at=at)
    world.store.put("payment_intent", intent)
    world.emit("charge.pending", charge)
    world.emit("payment_intent.processing", intent)
    world.plan_for(at, "debit", intent["id"])


def answer_of_the_bank(world: World, intent: Doc) -> Decline | None:
    """Concludes a debit that is under way. Answers why it failed, or None."""
    method = world.store.get("payment_method", intent["payment_method"])
    charge = world.store.get("charge", intent["latest_charge"])
    if method is None or charge is None:
        raise LookupError(f"the debit {intent['id']} has lost its account or its charge")
    behaviour = payment_methods.behaviour_of(world, method)
    decline = behaviour.late_decline
    if decline is None:
        charge.update(paid=True, status="succeeded", outcome=_outcome(None))
        world.store.put("charge", charge)
        _succeed(world, intent, charge, behaviour)
        return None
    charge.update(
        amount_captured=0,
        captured=False,
        failure_code=decline.code,
        failure_message=decline.message,
        outcome=_outcome(decline),
        status="failed",
    )
    world.store.put("charge", charge)
    return _fail(world, intent, method, charge, decline)


def refuse_authentication(world: World, intent: Doc, method: Doc) -> Decline:
    """The owner failed to authenticate."""
    intent.update(
        status="requires_payment_method",
        next_action=None,
        payment_method=None,
        last_payment_error=error_of(NOT_AUTHENTICATED, method),
    )
    world.store.put("payment_intent", intent)
    world.emit("payment_intent.payment_failed", intent)
    return NOT_AUTHENTICATED


def cancel(world: World, intent: Doc, reason: str | None) -> Doc:
    """Ends an intent that has not succeeded."""
    intent.update(status="canceled", canceled_at=world.clock.now(), cancellation_reason=reason, next_action=None)
    world.store.put("payment_intent", intent)
    world.emit("payment_intent.canceled", intent)
    return intent


def error_of(decline: Decline, method: Doc, charge: str | None = None) -> Doc:
    """`last_payment_error` and the like."""
    error: Doc = {
        "code": decline.code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": snapshot(method),
        "type": "card_error" if decline.decline_code or charge else "invalid_request_error",
    }
    if charge:
        error["charge"] = charge
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    return error


def _ask_for_authentication(world: World, intent: Doc, return_url: str | None) -> None:
    intent["status"] = "requires_action"
    intent["next_action"] = {
        "redirect_to_url": {"return_url": return_url, "url": f"{world.base_url}/authenticate/{intent['id']}"},
        "type": "redirect_to_url",
    }
    world.store.put("payment_intent", intent)
    world.emit("payment_intent.requires_action", intent)


def _fail(world: World, intent: Doc, method: Doc, charge: Doc, decline: Decline) -> Decline:
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        last_payment_error=error_of(decline, method, charge["id"]),
    )
    world.store.put("payment_intent", intent)
    world.emit("charge.failed", charge)
    world.emit("payment_intent.payment_failed", intent)
    return decline


def _charge(world: World, intent: Doc, method: Doc, decline: Decline | None) -> Doc:
    paid = decline is None
    pending = paid and payment_methods.behaviour_of(world, method).settles != "at_once"
    charge: Doc = {
        "id": new_id("ch"),
        "object": "charge",
        **snapshot(CHARGE),
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "billing_details": snapshot(method["billing_details"]),
        "calculated_statement_descriptor": world.config.account_name.upper()[:22],
        "captured": paid,
        "created": world.clock.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "livemode": intent["livemode"],
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(decline),
        "paid": paid and not pending,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(intent, method, paid=paid),
        "receipt_email": intent["receipt_email"],
        "shipping": snapshot(intent["shipping"]) if intent["shipping"] else None,
        "status": "pending" if pending else "succeeded" if paid else "failed",
    }
    return world.store.put("charge", charge)


def _details(intent: Doc, method: Doc, *, paid: bool) -> Doc:
    if method["type"] == "sepa_debit":
        account = method["sepa_debit"]
        shown = {name: account[name] for name in ("bank_code", "branch_code", "country", "fingerprint", "last4")}
        return {"sepa_debit": {**shown, "expected_debit_date": None, "mandate": None}, "type": "sepa_debit"}
    card = method["card"]
    return {
        "card": {
            "amount_authorized": intent["amount"] if paid else None,
            "authorization_code": random_text(6).upper() if paid else None,
            "brand": card["brand"],
            "checks": dict(card["checks"]),
            "country": card["country"],
            "exp_month": card["exp_month"],
            "exp_year": card["exp_year"],
            "fingerprint": card["fingerprint"],
            "funding": card["funding"],
            "installments": None,
            "last4": card["last4"],
            "mandate": None,
            "network": card["brand"],
            "three_d_secure": None,
            "wallet": None,
        },
        "type": "card",
    }


def _outcome(decline: Decline | None) -> Doc:
    return {
        "advice_code": "try_again_later" if decline and decline.decline_code == "insufficient_funds" else None,
        "network_advice_code": None,
        "network_decline_code": "05" if decline else None,
        "network_status": "declined_by_network" if decline else "approved_by_network",
        "reason": (decline.decline_code or decline.code) if decline else None,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank did not return any further details with this decline."
        if decline
        else "Payment complete.",
        "type": "issuer_declined" if decline else "authorized",
    }
