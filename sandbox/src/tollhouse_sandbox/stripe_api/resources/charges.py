"""`/v1/charges`: reading."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import MOMENT_RANGE, PAGE, TEXT, Spec

_LIST: Spec = {**PAGE, "created": MOMENT_RANGE, "customer": TEXT, "payment_intent": TEXT}


def retrieve(call: Call) -> Doc:
    """A charge."""
    return call.find("charge", call.ids[0])


def list_(call: Call) -> Doc:
    """Newest first, by customer and payment intent."""
    asked = call.read(_LIST)
    store = call.world.store
    if "payment_intent" in asked:
        rows = store.where("charge", "payment_intent", asked["payment_intent"])
    elif "customer" in asked:
        rows = store.where("charge", "customer", asked["customer"])
    else:
        rows = list(store.newest("charge"))
    chosen = (row for row in rows if created_within(asked.get("created"), row["created"]))
    return page(call, "charge", chosen, asked)
