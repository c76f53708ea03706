"""`/v1/subscription_schedules`: those that the portal makes; they are read and released here, not written."""

from tollhouse_sandbox.billing import schedules
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.params import BOOLEAN, PAGE, TEXT, Spec

_LIST: Spec = {**PAGE, "customer": TEXT}
_RELEASE: Spec = {"preserve_cancel_date": BOOLEAN}


def retrieve(call: Call) -> Doc:
    """A schedule."""
    return call.find(schedules.KIND, call.ids[0])


def list_(call: Call) -> Doc:
    """Newest first."""
    asked = call.read(_LIST)
    store, customer = call.world.store, asked.get("customer")
    rows = store.where(schedules.KIND, "customer", customer) if customer else store.newest(schedules.KIND)
    return page(call, schedules.KIND, rows, asked)


def release(call: Call) -> Doc:
    """The subscription goes on without it."""
    schedule = call.find(schedules.KIND, call.ids[0])
    call.read(_RELEASE)
    if schedule["status"] != "active":
        raise invalid(
            "You cannot release a subscription schedule that is currently in the"
            f" `{schedule['status']}` status. It must be in `not_started` or `active` status."
        )
    schedules.release(call.world, call.find("subscription", schedule["subscription"]))
    return schedule
