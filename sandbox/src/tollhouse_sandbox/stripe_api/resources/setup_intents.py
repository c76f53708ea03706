"""`/v1/setup_intents`."""

from tollhouse_sandbox.billing import payment_methods, setups
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import StripeError, card_error, missing
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    TEXTS,
    Spec,
    fields,
    one_of,
    required,
)

_CREATE: Spec = {
    "automatic_payment_methods": fields(enabled=required(BOOLEAN), allow_redirects=one_of("always", "never")),
    "confirm": BOOLEAN,
    "customer": TEXT,
    "description": CLEARABLE_TEXT,
    "metadata": METADATA,
    "payment_method": TEXT,
    "payment_method_types": TEXTS,
    "return_url": TEXT,
    "usage": one_of("off_session", "on_session"),
}
_LIST: Spec = {**PAGE, "created": MOMENT_RANGE, "customer": TEXT, "payment_method": TEXT}


def create(call: Call) -> Doc:
    """An intent to keep a card; with `confirm`, kept at once."""
    given = call.read(_CREATE)
    if "customer" in given:
        call.find("customer", given["customer"], "customer")
    key = given.get("payment_method")
    method = payment_methods.resolve(call.world, key, livemode=call.livemode) if key else None
    if given.get("confirm") and method is None:
        raise missing("payment_method")
    kept: Doc = {name: given[name] for name in ("description", "usage") if name in given}
    if method:
        kept.update(payment_method=method["id"], status="requires_confirmation")
    metadata = merged_metadata({}, given.get("metadata", {}))
    intent = setups.create(
        call.world, livemode=call.livemode, customer=given.get("customer"), metadata=metadata, **kept
    )
    if given.get("confirm") and method:
        _confirm(call, intent, method, given.get("return_url"))
    return intent


def retrieve(call: Call) -> Doc:
    """A setup intent."""
    return call.find("setup_intent", call.ids[0], "intent")


def confirm(call: Call) -> Doc:
    """Keeps the card; a decline is a 402."""
    intent = call.find("setup_intent", call.ids[0], "intent")
    given = call.read({"payment_method": TEXT, "return_url": TEXT})
    if intent["status"] in ("succeeded", "canceled"):
        raise _unexpected(intent, f"You cannot confirm this SetupIntent because it has already {intent['status']}.")
    key = given.get("payment_method") or intent["payment_method"]
    if not key:
        raise missing("payment_method")
    _confirm(call, intent, payment_methods.resolve(call.world, key, livemode=call.livemode), given.get("return_url"))
    return intent


def cancel(call: Call) -> Doc:
    """Cancels an intent that has not succeeded."""
    intent = call.find("setup_intent", call.ids[0], "intent")
    given = call.read({"cancellation_reason": one_of("abandoned", "duplicate", "requested_by_customer")})
    if intent["status"] in ("succeeded", "canceled"):
        raise _unexpected(intent, f"You cannot cancel this SetupIntent because it has a status of {intent['status']}.")
    intent.update(status="canceled", cancellation_reason=given.get("cancellation_reason"), next_action=None)
    call.world.store.put("setup_intent", intent)
    call.world.emit("setup_intent.canceled", intent)
    return intent


def list_(call: Call) -> Doc:
    """Newest first, by customer and payment method."""
    asked = call.read(_LIST)
    store = call.world.store
    customer = asked.get("customer")
    rows = store.where("setup_intent", "customer", customer) if customer else store.newest("setup_intent")
    chosen = (
        row
        for row in rows
        if asked.get("payment_method") in (None, row["payment_method"])
        and created_within(asked.get("created"), row["created"])
    )
    return page(call, "setup_intent", chosen, asked)


def _confirm(call: Call, intent: Doc, method: Doc, return_url: str | None) -> None:
    decline = setups.confirm(call.world, intent, method, return_url=return_url)
    if decline:
        raise card_error(decline.code, decline.message, decline.decline_code, setup_intent=snapshot(intent))


def _unexpected(intent: Doc, message: str) -> StripeError:
    return StripeError(400, message, code="setup_intent_unexpected_state", setup_intent=snapshot(intent))
