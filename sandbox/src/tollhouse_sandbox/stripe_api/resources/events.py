"""`/v1/events`."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.faults import type_matches
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import BOOLEAN, MOMENT_RANGE, PAGE, TEXT, TEXTS, Spec

_LIST: Spec = {**PAGE, "type": TEXT, "types": TEXTS, "created": MOMENT_RANGE, "delivery_success": BOOLEAN}


def retrieve(call: Call) -> Doc:
    """An event, with its subject as it was then."""
    return call.find("event", call.ids[0])


def list_(call: Call) -> Doc:
    """Newest first, by type, time and success of delivery."""
    asked = call.read(_LIST)
    patterns = [asked["type"]] if "type" in asked else asked.get("types")
    success = asked.get("delivery_success")
    rows = (
        event
        for event in call.world.store.newest("event")
        if (not patterns or any(type_matches(pattern, event["type"]) for pattern in patterns))
        and created_within(asked.get("created"), event["created"])
        and (success is None or success == (event["pending_webhooks"] == 0))
    )
    return page(call, "event", rows, asked)
