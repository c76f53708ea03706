"""`/v1/payment_intents`."""

from tollhouse_sandbox.billing import payment_methods, payments
from tollhouse_sandbox.cards import Decline
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import StripeError, card_error, invalid, missing
from tollhouse_sandbox.stripe_api import method_types
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    SHIPPING,
    TEXT,
    Spec,
    fields,
    one_of,
    required,
)
from tollhouse_sandbox.stripe_api.resources.payment_methods import CREATE as METHOD
from tollhouse_sandbox.stripe_api.resources.payment_methods import create_from

_SHARED: Spec = {
    "description": CLEARABLE_TEXT,
    "metadata": METADATA,
    "payment_method": TEXT,
    "payment_method_data": fields(**METHOD),
    "receipt_email": CLEARABLE_TEXT,
    "setup_future_usage": one_of("off_session", "on_session"),
    "shipping": SHIPPING,
}
_CREATE: Spec = {
    **_SHARED,
    "amount": required(INTEGER),
    "automatic_payment_methods": fields(enabled=required(BOOLEAN), allow_redirects=one_of("always", "never")),
    "confirm": BOOLEAN,
    "currency": required(TEXT),
    "customer": TEXT,
    "error_on_requires_action": BOOLEAN,
    "off_session": BOOLEAN,
    **method_types.FILTERS,
    "return_url": TEXT,
}
_UPDATE: Spec = {**_SHARED, "amount": INTEGER, "customer": TEXT}
_CONFIRM: Spec = {
    "off_session": BOOLEAN,
    "payment_method": TEXT,
    "payment_method_data": fields(**METHOD),
    "return_url": TEXT,
    "setup_future_usage": one_of("off_session", "on_session"),
    "shipping": SHIPPING,
}
_LIST: Spec = {**PAGE, "created": MOMENT_RANGE, "customer": TEXT}
_REASON = one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")


def create(call: Call) -> Doc:
    """An intent to pay; with `confirm`, paid at once."""
    given = call.read(_CREATE)
    if given["amount"] < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if "customer" in given:
        call.find("customer", given["customer"], "customer")
    method = _method(call, given)
    if given.get("confirm") and method is None:
        raise missing("payment_method")
    types = method_types.wanted(call.world, given, given["currency"].lower())
    intent = payments.create_intent(
        call.world,
        amount=given["amount"],
        currency=given["currency"].lower(),
        livemode=call.livemode,
        customer=given.get("customer"),
        description=given.get("description"),
        metadata=merged_metadata({}, given.get("metadata", {})),
        setup_future_usage=given.get("setup_future_usage"),
        receipt_email=given.get("receipt_email"),
        shipping=given.get("shipping"),
        automatic=(given.get("automatic_payment_methods") or {}).get("enabled", "payment_method_types" not in given),
        types=types,
    )
    if method:
        intent.update(payment_method=method["id"], status="requires_confirmation")
        call.world.store.put("payment_intent", intent)
    if given.get("confirm") and method:
        _confirm(call, intent, method, given)
    return intent


def retrieve(call: Call) -> Doc:
    """A payment intent."""
    return call.find("payment_intent", call.ids[0], "intent")


def update(call: Call) -> Doc:
    """Changes an intent that has not been paid."""
    intent = call.find("payment_intent", call.ids[0], "intent")
    given = call.read(_UPDATE)
    if "amount" in given and intent["status"] in ("processing", "succeeded", "canceled"):
        raise _unexpected(intent, "This PaymentIntent's amount could not be updated because it has a status of")
    method = _method(call, given)
    if method:
        intent.update(payment_method=method["id"], status="requires_confirmation")
    if "metadata" in given:
        intent["metadata"] = merged_metadata(intent["metadata"], given["metadata"])
    for name in ("amount", "customer", "description", "receipt_email", "setup_future_usage"):
        if name in given:
            intent[name] = given[name]
    if "shipping" in given:
        intent["shipping"] = payments.whole_shipping(given["shipping"])
    return call.world.store.put("payment_intent", intent)


def confirm(call: Call) -> Doc:
    """Pays; a decline is a 402 with the intent inside."""
    intent = call.find("payment_intent", call.ids[0], "intent")
    given = call.read(_CONFIRM)
    if intent["status"] in ("processing", "succeeded", "canceled"):
        raise _unexpected(intent, "This PaymentIntent could not be confirmed because it has a status of")
    method = _method(call, given) or call.world.store.get("payment_method", intent["payment_method"] or "")
    if method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the"
            " PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment"
            " method or ConfirmationToken.",
            None,
            "payment_intent_unexpected_state",
        )
    _confirm(call, intent, method, given)
    return intent


def cancel(call: Call) -> Doc:
    """Cancels an unpaid intent."""
    intent = call.find("payment_intent", call.ids[0], "intent")
    given = call.read({"cancellation_reason": _REASON})
    if intent["status"] in ("processing", "succeeded", "canceled"):
        raise _unexpected(intent, "You cannot cancel this PaymentIntent because it has a status of")
    return payments.cancel(call.world, intent, given.get("cancellation_reason"))


def list_(call: Call) -> Doc:
    """Newest first, by customer and time."""
    asked = call.read(_LIST)
    store = call.world.store
    customer = asked.get("customer")
    rows = store.where("payment_intent", "customer", customer) if customer else store.newest("payment_intent")
    wanted = asked.get("created")
    return page(call, "payment_intent", (row for row in rows if created_within(wanted, row["created"])), asked)


def _method(call: Call, given: Doc) -> Doc | None:
    if "payment_method" in given:
        return payment_methods.resolve(call.world, given["payment_method"], livemode=call.livemode)
    return create_from(call, given["payment_method_data"]) if given.get("payment_method_data") else None


def _confirm(call: Call, intent: Doc, method: Doc, given: Doc) -> None:
    if "shipping" in given:
        intent["shipping"] = payments.whole_shipping(given["shipping"])
    off_session, back = given.get("off_session", False), given.get("return_url")
    decline = payments.confirm(call.world, intent, method, off_session=off_session, return_url=back)
    if decline:
        raise _declined(intent, method, decline)
    customer = intent["customer"]
    if customer and intent["status"] == "succeeded" and intent["setup_future_usage"]:
        payment_methods.bind(call.world, method, customer)


def _declined(intent: Doc, method: Doc, decline: Decline) -> StripeError:
    return card_error(
        decline.code,
        decline.message,
        decline.decline_code,
        charge=intent["latest_charge"],
        payment_intent=snapshot(intent),
        payment_method=snapshot(method),
    )


def _unexpected(intent: Doc, words: str) -> StripeError:
    return StripeError(
        400, f"{words} {intent['status']}.", code="payment_intent_unexpected_state", payment_intent=snapshot(intent)
    )
