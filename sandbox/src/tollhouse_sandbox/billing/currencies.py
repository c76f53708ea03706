"""One currency a customer at a time, as Stripe keeps it."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import StripeError, invalid
from tollhouse_sandbox.world import World

_NOT_RUNNING = frozenset(("canceled", "incomplete", "incomplete_expired"))


def refusal(world: World, customer: Doc, currency: str) -> StripeError | None:
    """Why this customer cannot subscribe in this currency: something of it still runs in another one."""
    held = [
        subscription["currency"]
        for subscription in world.store.where("subscription", "customer", customer["id"])
        if subscription["status"] not in _NOT_RUNNING
    ]
    held += [
        item["currency"]
        for item in world.store.where("invoiceitem", "customer", customer["id"])
        if item["invoice"] is None
    ]
    other = next((found for found in held if found != currency), None)
    if other is None:
        return None
    return invalid(
        "You cannot combine currencies on a single customer. This customer has an active subscription, subscription"
        f" schedule, discount, quote, or invoice item with currency {other}."
    )
