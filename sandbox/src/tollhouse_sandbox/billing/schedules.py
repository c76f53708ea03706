"""Subscription schedules in their simplest form: another price from the end of the period on, then released.

https://docs.stripe.com/api/subscription_schedules/object
"""

from tollhouse_sandbox.billing.periods import next_boundary
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World

KIND = "subscription_schedule"


def of(world: World, subscription: Doc) -> Doc | None:
    """The schedule that a subscription follows."""
    return world.store.get(KIND, subscription["schedule"]) if subscription["schedule"] else None


def next_price(world: World, subscription: Doc) -> Doc | None:
    """The price to which the subscription changes when its period ends."""
    schedule = of(world, subscription)
    return world.store.get("price", schedule["phases"][-1]["items"][0]["price"]) if schedule else None


def plan_change(world: World, subscription: Doc, price: Doc) -> Doc:
    """Until the period's end the subscription stays as it is, and only its `schedule` shows that it will change."""
    before = snapshot(subscription)
    item = subscription["items"]["data"][0]
    start, end = item["current_period_start"], item["current_period_end"]
    recurring = price["recurring"]
    after = next_boundary(end, recurring["interval"], recurring["interval_count"], end)
    schedule = _document(world, subscription, (start, end))
    schedule["phases"] = [
        _phase(item["price"], item["quantity"], (start, end)),
        _phase(price, item["quantity"], (end, after)),
    ]
    world.store.put(KIND, schedule)
    subscription["schedule"] = schedule["id"]
    world.emit("subscription_schedule.created", schedule)
    world.emit_change("customer.subscription.updated", subscription, before)
    return schedule


def begin_last_phase(world: World, subscription: Doc) -> bool:
    """Gives the subscription its scheduled price and lets go of it; answers whether its interval is another one.

    Stripe keeps the schedule until the last phase is over; here it is released when that phase begins.
    """
    schedule, price = of(world, subscription), next_price(world, subscription)
    if schedule is None or price is None:
        return False
    item = subscription["items"]["data"][0]
    old = item["price"]["recurring"]
    item.update(price=price, plan=world.store.get("plan", price["id"]))
    _leave(world, subscription, schedule, "released")
    new = price["recurring"]
    return (old["interval"], old["interval_count"]) != (new["interval"], new["interval_count"])


def release(world: World, subscription: Doc) -> None:
    """The subscription goes on as it is, without a change at its period's end."""
    schedule = of(world, subscription)
    if schedule:
        before = snapshot(subscription)
        _leave(world, subscription, schedule, "released")
        world.emit_change("customer.subscription.updated", subscription, before)


def cancel(world: World, subscription: Doc) -> None:
    """The subscription has ended, and its schedule with it."""
    schedule = of(world, subscription)
    if schedule:
        _leave(world, subscription, schedule, "canceled")


def _leave(world: World, subscription: Doc, schedule: Doc, status: str) -> None:
    now = world.clock.now()
    schedule.update(status=status, current_phase=None)
    if status == "released":
        schedule.update(released_at=now, released_subscription=subscription["id"], subscription=None)
    else:
        schedule["canceled_at"] = now
    subscription["schedule"] = None
    world.store.put(KIND, schedule)
    world.emit(f"subscription_schedule.{status}", schedule)


def _phase(price: Doc, quantity: int, period: tuple[int, int]) -> Doc:
    item: Doc = {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": {},
        "plan": price["id"],
        "price": price["id"],
        "quantity": quantity,
        "tax_rates": [],
    }
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": price["currency"],
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "end_date": period[1],
        "invoice_settings": None,
        "items": [item],
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": "none",
        "start_date": period[0],
        "transfer_data": None,
        "trial_end": None,
    }


def _document(world: World, subscription: Doc, period: tuple[int, int]) -> Doc:
    return {
        "id": new_id("sub_sched"),
        "object": KIND,
        "application": None,
        "billing_mode": snapshot(subscription["billing_mode"]),
        "canceled_at": None,
        "completed_at": None,
        "created": world.clock.now(),
        "current_phase": {"end_date": period[1], "start_date": period[0]},
        "customer": subscription["customer"],
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "description": None,
            "invoice_settings": {
                "account_tax_ids": None,
                "custom_fields": None,
                "days_until_due": None,
                "description": None,
                "footer": None,
                "issuer": {"type": "self"},
            },
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": "release",
        "livemode": subscription["livemode"],
        "metadata": {},
        "pause_schedules": [],
        "phases": [],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }
