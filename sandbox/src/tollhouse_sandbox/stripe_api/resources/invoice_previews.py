"""`/v1/invoices/create_preview`: the next invoice of a subscription, as it is or as it would be after a change."""

from tollhouse_sandbox.billing import changes, drafts
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid, missing
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.params import INTEGER, TEXT, Spec, fields, one_of
from tollhouse_sandbox.stripe_api.resources import subscriptions

_CREATE: Spec = {
    "customer": TEXT,
    "subscription": TEXT,
    "subscription_details": fields(
        billing_cycle_anchor=one_of("now", "unchanged"),
        items=subscriptions.ITEMS,
        proration_behavior=subscriptions.PRORATION,
        proration_date=INTEGER,
    ),
}


def create(call: Call) -> Doc:
    """Today's invoice where the change would be billed at once, the renewal's otherwise; nothing is changed."""
    given = call.read(_CREATE)
    if "subscription" not in given:  # the sandbox knows no preview of what has not been subscribed to
        raise missing("subscription")
    subscription = call.find("subscription", given["subscription"], "subscription")
    if given.get("customer", subscription["customer"]) != subscription["customer"]:
        raise invalid(f"The subscription {subscription['id']} is of another customer.", "customer")
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise invalid("You cannot preview the upcoming invoice for a canceled subscription.", "subscription")
    details = given.get("subscription_details") or {}
    wanted = [
        subscriptions.item_change(call, subscription, item, f"subscription_details[items][{place}]")
        for place, item in enumerate(details.get("items") or [])
    ]
    at = subscriptions.proration_date(call, subscription, details, "subscription_details[proration_date]")
    lines, period = changes.next_invoice(
        call.world,
        subscription,
        wanted,
        proration=details.get("proration_behavior", "create_prorations"),
        at=at,
        anchor_now=details.get("billing_cycle_anchor") == "now",
    )
    customer = call.find("customer", subscription["customer"], "customer")
    return drafts.preview(call.world, customer, subscription, lines, period)
