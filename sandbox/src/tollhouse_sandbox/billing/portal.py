"""What a customer does to a subscription in the portal, as the portal's configuration allows it."""

from tollhouse_sandbox.billing import changes, payment_methods, schedules, subscriptions
from tollhouse_sandbox.billing.amounts import line_amount
from tollhouse_sandbox.cards import AUTHENTICATION_REQUIRED, Decline
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.world import World

_NO_CARD = Decline("resource_missing", "There is no card to charge. Add one first.")
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def offers(world: World, subscription: Doc, allowed: Doc) -> list[Doc]:
    """The prices to which the subscription may change: active, recurring, in its currency; the cheapest first.

    `allowed` is the configuration's `subscription_update`; without products in it, prices of every product are offered.
    """
    if not allowed["enabled"] or "price" not in allowed["default_allowed_updates"]:
        return []
    present = subscription["items"]["data"][0]["price"]["id"]
    named = {price for product in allowed["products"] or () for price in product["prices"]}
    found = [
        price
        for price in world.store.oldest("price")
        if price["active"]
        and price["recurring"]
        and (price["livemode"], price["currency"]) == (subscription["livemode"], subscription["currency"])
        and (not allowed["products"] or price["id"] in named)
        and price["id"] != present
        and (world.store.get("product", price["product"]) or {}).get("active")
    ]
    return sorted(found, key=lambda price: (_length(price), line_amount(price, 1)))


def waits_for_the_period(allowed: Doc, present: Doc, wanted: Doc) -> bool:
    """Whether the change waits until the period ends: a lower price, a shorter interval, as the configuration says."""
    conditions = {condition["type"] for condition in allowed["schedule_at_period_end"]["conditions"]}
    cheaper = line_amount(wanted, 1) < line_amount(present, 1)
    shorter = _length(wanted) < _length(present)
    return ("decreasing_item_amount" in conditions and cheaper) or ("shortening_interval" in conditions and shorter)


def change_plan(world: World, subscription: Doc, price: Doc, allowed: Doc) -> Decline | None:
    """Changes to the price now, or at the period's end. Nothing has changed where a decline is answered."""
    if subscription["status"] == "trialing":
        _change_in_trial(world, subscription, price, allowed)
        return None
    if waits_for_the_period(allowed, subscription["items"]["data"][0]["price"], price):
        schedules.release(world, subscription)
        schedules.plan_change(world, subscription, price)
        return None
    proration = allowed["proration_behavior"]
    lines = changes.preview(world, subscription, price, proration=proration)
    decline = _would_decline(world, subscription) if due_now(world, subscription, lines) > 0 else None
    if decline:
        return decline
    schedules.release(world, subscription)
    changes.change_items(
        world,
        subscription,
        snapshot(subscription),
        [changes.to_price(subscription, price)],
        proration=proration,
        at=world.clock.now(),
        anchor_now=allowed["billing_cycle_anchor"] == "now",
    )
    return None


def due_now(world: World, subscription: Doc, lines: list[Doc]) -> int:
    """What these lines cost once the customer's credit is used."""
    customer = world.store.get("customer", subscription["customer"]) or {"balance": 0}
    whole: int = sum(line["amount"] for line in lines) + customer["balance"]
    return max(0, whole)


def next_payment(world: World, subscription: Doc) -> tuple[int, int] | None:
    """Amount and moment of the next payment; None when the subscription ends instead."""
    end = subscriptions.current_period(subscription)[1]
    if subscription["cancel_at"] is not None and subscription["cancel_at"] <= end:
        return None
    item = subscription["items"]["data"][0]
    price = schedules.next_price(world, subscription) or item["price"]
    waiting = world.private(subscription["id"]).get("pending_lines", [])
    whole: Doc = {"amount": line_amount(price, item["quantity"])}
    return due_now(world, subscription, [*waiting, whole]), end


def cancel(world: World, subscription: Doc, allowed: Doc, feedback: str | None = None) -> None:
    """Cancels at the period's end, or now, as the configuration says."""
    schedules.release(world, subscription)
    if allowed["mode"] == "immediately":
        subscriptions.end(world, subscription, "cancellation_requested", {"feedback": feedback})
        return
    before = snapshot(subscription)
    end = subscriptions.current_period(subscription)[1]
    subscription.update(cancel_at_period_end=True, cancel_at=end, canceled_at=world.clock.now())
    subscription["cancellation_details"].update(reason="cancellation_requested", feedback=feedback)
    world.emit_change("customer.subscription.updated", subscription, before)


def resume(world: World, subscription: Doc) -> None:
    """Takes a cancellation back, as long as the subscription has not ended."""
    before = snapshot(subscription)
    subscription.update(cancel_at_period_end=False, cancel_at=None, canceled_at=None)
    subscription["cancellation_details"].update(reason=None, feedback=None)
    world.emit_change("customer.subscription.updated", subscription, before)


def use_card(world: World, customer: Doc, method: Doc) -> None:
    """Every later payment of the customer is charged to this card."""
    before = snapshot(customer)
    customer["invoice_settings"]["default_payment_method"] = method["id"]
    world.emit_change("customer.updated", customer, before)
    for subscription in living(world, customer):
        before = snapshot(subscription)
        subscription["default_payment_method"] = method["id"]
        world.emit_change("customer.subscription.updated", subscription, before)


def living(world: World, customer: Doc) -> list[Doc]:
    """The customer's subscriptions that have not ended."""
    found = world.store.where("subscription", "customer", customer["id"])
    return [subscription for subscription in found if subscription["status"] in subscriptions.LIVING]


def _length(price: Doc) -> int:
    recurring = price["recurring"]
    return _DAYS[recurring["interval"]] * int(recurring["interval_count"])


def _change_in_trial(world: World, subscription: Doc, price: Doc, allowed: Doc) -> None:
    before = snapshot(subscription)
    item = subscription["items"]["data"][0]
    item.update(price=price, plan=world.store.get("plan", price["id"]))
    world.emit_change("customer.subscription.updated", subscription, before)
    if allowed["trial_update_behavior"] == "end_trial":
        changes.end_trial(world, subscription)


def _would_decline(world: World, subscription: Doc) -> Decline | None:
    latest = world.store.get("invoice", subscription["latest_invoice"] or "")
    method = subscriptions.card_of(world, latest) if latest else None
    if method is None:
        return _NO_CARD
    behaviour = payment_methods.behaviour_of(world, method)
    set_up = bool(world.private(method["id"]).get("set_up"))
    if behaviour.authentication == "always" or (behaviour.authentication == "until_set_up" and not set_up):
        return AUTHENTICATION_REQUIRED
    return behaviour.off_session_decline
