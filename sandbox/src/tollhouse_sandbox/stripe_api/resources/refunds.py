"""`/v1/refunds`."""

from collections.abc import Iterable, Iterator

from tollhouse_sandbox.billing import refunds
from tollhouse_sandbox.documents import Doc, difference, merged_metadata, snapshot
from tollhouse_sandbox.errors import StripeError, invalid, no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import INTEGER, METADATA, MOMENT_RANGE, PAGE, TEXT, Spec, one_of

_CREATE: Spec = {
    "amount": INTEGER,
    "charge": TEXT,
    "metadata": METADATA,
    "payment_intent": TEXT,
    "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
}
_LIST: Spec = {**PAGE, "charge": TEXT, "created": MOMENT_RANGE, "payment_intent": TEXT}


def create(call: Call) -> Doc:
    """Gives back all of a payment, or the amount."""
    given = call.read(_CREATE)
    return refunds.create(
        call.world,
        _charge(call, given),
        amount=given.get("amount"),
        reason=given.get("reason"),
        metadata=merged_metadata({}, given.get("metadata", {})),
    )


def retrieve(call: Call) -> Doc:
    """A refund."""
    return _find(call)


def update(call: Call) -> Doc:
    """Merges metadata."""
    refund = _find(call)
    given = call.read({"metadata": METADATA})
    before = snapshot(refund)
    if "metadata" in given:
        refund["metadata"] = merged_metadata(refund["metadata"], given["metadata"])
    call.world.store.put("refund", refund)
    if refund != before:
        call.world.emit("refund.updated", refund, difference(before, refund), livemode=call.livemode)
    return refund


def list_(call: Call) -> Doc:
    """Newest first, by charge, payment intent and time."""
    asked = call.read(_LIST)
    store = call.world.store
    rows: Iterable[Doc]
    if "charge" in asked:
        call.find("charge", asked["charge"], "charge")
        rows = store.where("refund", "charge", asked["charge"])
    elif "payment_intent" in asked:
        call.find("payment_intent", asked["payment_intent"], "payment_intent")
        rows = store.where("refund", "payment_intent", asked["payment_intent"])
    else:
        rows = store.newest("refund")
    chosen = (row for row in _of_mode(call, rows) if created_within(asked.get("created"), row["created"]))
    return page(call, "refund", chosen, asked)


def _charge(call: Call, given: Doc) -> Doc:
    """The charge named, or the one by which the payment intent was paid."""
    if "charge" in given:
        charge = call.find("charge", given["charge"], "charge")
        if given.get("payment_intent") not in (None, charge["payment_intent"]):
            raise invalid(
                f"The charge {charge['id']} does not belong to the PaymentIntent {given['payment_intent']}.", "charge"
            )
        return charge
    if "payment_intent" not in given:
        raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
    intent = call.find("payment_intent", given["payment_intent"], "payment_intent")
    paid_by = call.world.store.get("charge", intent["latest_charge"] or "")
    if intent["status"] != "succeeded" or paid_by is None:
        raise StripeError(400, f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
    return paid_by


def _find(call: Call) -> Doc:
    refund = call.world.store.get("refund", call.ids[0])
    for found in _of_mode(call, [refund] if refund else []):
        return found
    raise no_such("refund", call.ids[0])


def _of_mode(call: Call, rows: Iterable[Doc]) -> Iterator[Doc]:
    """A refund does not say its mode; its charge does."""
    for row in rows:
        charge = call.world.store.get("charge", row["charge"])
        if charge and charge["livemode"] == call.livemode:
            yield row
