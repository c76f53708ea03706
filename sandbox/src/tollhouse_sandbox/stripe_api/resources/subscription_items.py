"""`/v1/subscription_items`: reading; changes go through the subscription."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.params import PAGE, TEXT, Spec, required

_LIST: Spec = {**PAGE, "subscription": required(TEXT)}


def retrieve(call: Call) -> Doc:
    """An item."""
    key = call.ids[0]
    owner = (call.world.store.get("private", key) or {}).get("subscription", "")
    subscription = call.world.store.get("subscription", owner)
    for item in subscription["items"]["data"] if subscription and subscription["livemode"] == call.livemode else []:
        if item["id"] == key:
            return dict(item)
    raise no_such("subscription_item", key)


def list_(call: Call) -> Doc:
    """The items of a subscription."""
    asked = call.read(_LIST)
    subscription = call.find("subscription", asked["subscription"], "subscription")
    return page(call, "subscription_item", subscription["items"]["data"], asked)
