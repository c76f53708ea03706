"""Changing what a subscription buys while its period runs, prorated to the second."""

import msgspec

from tollhouse_sandbox.billing import invoices, subscriptions
from tollhouse_sandbox.billing.amounts import line_amount
from tollhouse_sandbox.billing.periods import next_boundary
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.world import World


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """One wanted change: of the item named, or a further item when none is."""

    item: str | None
    price: Doc | None
    quantity: int | None
    deleted: bool
    metadata: Doc


def change_items(
    world: World, subscription: Doc, before: Doc, wanted: list[ItemChange], *, proration: str, at: int, anchor_now: bool
) -> None:
    """Applies the changes. Another interval, or `anchor_now`, begins a new period at once and bills it."""
    old_items = snapshot(subscription)["items"]["data"]
    for change in wanted:
        _apply(world, subscription, change)
    items = subscription["items"]["data"]
    old_interval, new_interval = _interval(old_items[0]), _interval(items[0])
    starts_over = anchor_now or old_interval != new_interval
    was_paid = subscription["status"] in ("active", "past_due")
    credits = _prorated(world, subscription, old_items, at, -1) if proration != "none" and was_paid else []
    if starts_over:
        _keep_pending(world, subscription, credits)
        _restart(world, subscription, before)
        return
    charges = _prorated(world, subscription, items, at, 1) if proration != "none" and was_paid else []
    lines = _without_unchanged(credits, charges)
    if proration == "always_invoice" and lines:
        _invoice_now(world, subscription, before, lines)
        return
    _keep_pending(world, subscription, lines)
    world.emit_change("customer.subscription.updated", subscription, before)


def to_price(subscription: Doc, price: Doc) -> ItemChange:
    """The change of the subscription's one item to another price."""
    item = subscription["items"]["data"][0]
    return ItemChange(item=item["id"], price=price, quantity=None, deleted=False, metadata={})


def preview(world: World, subscription: Doc, price: Doc, *, proration: str) -> list[Doc]:
    """The lines that an invoice of today would have if the subscription changed to the price now."""
    now = world.clock.now()
    items = subscription["items"]["data"]
    wanted = [{**items[0], "price": price}, *items[1:]]
    was_paid = proration != "none" and subscription["status"] in ("active", "past_due")
    credits = _prorated(world, subscription, items, now, -1) if was_paid else []
    if _interval(items[0]) != _interval(wanted[0]):
        recurring = price["recurring"]
        period = (now, next_boundary(now, recurring["interval"], recurring["interval_count"], now))
        return credits + [subscriptions.period_line(world, subscription, item, period) for item in wanted]
    if proration != "always_invoice":
        return []
    return _without_unchanged(credits, _prorated(world, subscription, wanted, now, 1))


def end_trial(world: World, subscription: Doc) -> None:
    """Ends the trial now and bills the first paid period."""
    subscription["trial_end"] = world.clock.now()
    invoice = subscriptions.renew(world, subscription, start=world.clock.now())
    subscriptions.collect_renewal(world, invoice)


def _apply(world: World, subscription: Doc, change: ItemChange) -> None:
    items = subscription["items"]["data"]
    item = next((present for present in items if present["id"] == change.item), None)
    if item is None:
        want = {"price": change.price, "quantity": change.quantity or 1, "metadata": change.metadata}
        items.append(subscriptions.new_item(world, subscription, want, subscriptions.current_period(subscription)))
        return
    if change.deleted:
        items.remove(item)
        return
    if change.price:
        item.update(price=change.price, plan=world.store.get("plan", change.price["id"]))
    if change.quantity is not None:
        item["quantity"] = change.quantity
    item["metadata"] = merged_metadata(item["metadata"], change.metadata)


def _interval(item: Doc) -> tuple[str, int]:
    return item["price"]["recurring"]["interval"], item["price"]["recurring"]["interval_count"]


def _prorated(world: World, subscription: Doc, items: list[Doc], at: int, sign: int) -> list[Doc]:
    """What is left of the period for these items: credits (sign -1) or charges, by the second, rounded half up."""
    lines = []
    for item in items:
        start, end = item["current_period_start"], item["current_period_end"]
        left = max(0, min(end, end - at))
        whole = line_amount(item["price"], item["quantity"])
        amount = (2 * whole * left + (end - start)) // (2 * (end - start))
        product = world.store.get("product", item["price"]["product"])
        name = product["name"] if product else item["price"]["product"]
        word = "Unused time on" if sign < 0 else "Remaining time on"
        quantity = "" if item["quantity"] == 1 else f"{item['quantity']} × "
        lines.append(
            invoices.line(
                world,
                subscription,
                item,
                amount=sign * amount,
                description=f"{word} {quantity}{name} after {_day(at)}",
                period=(at, end),
                proration=True,
            )
        )
    return lines


def _day(moment: int) -> str:
    day = subscriptions.day_of(moment)
    return f"{day.day:02d} {day:%b %Y}"


def _without_unchanged(credits: list[Doc], charges: list[Doc]) -> list[Doc]:
    """Leaves out items that cost the same as before."""
    charged = {line["parent"]["subscription_item_details"]["subscription_item"]: line for line in charges}
    lines: list[Doc] = []
    for credit in credits:
        charge = charged.pop(credit["parent"]["subscription_item_details"]["subscription_item"], None)
        if charge is None:
            lines.append(credit)
        elif charge["pricing"] != credit["pricing"] or charge["quantity"] != credit["quantity"]:
            lines += [credit, charge]
    return lines + list(charged.values())


def _keep_pending(world: World, subscription: Doc, lines: list[Doc]) -> None:
    """Keeps lines for the next invoice."""
    if lines:
        pending = world.private(subscription["id"]).get("pending_lines", [])
        world.keep_private(subscription["id"], pending_lines=pending + lines)


def _restart(world: World, subscription: Doc, before: Doc) -> None:
    now = world.clock.now()
    subscription["billing_cycle_anchor"] = now
    for item in subscription["items"]["data"]:
        interval, count = _interval(item)
        item.update(current_period_start=now, current_period_end=next_boundary(now, interval, count, now))
    subscriptions.plan_period_end(world, subscription)
    lines = world.private(subscription["id"]).pop("pending_lines", [])
    period = subscriptions.current_period(subscription)
    lines += [subscriptions.period_line(world, subscription, item, period) for item in subscription["items"]["data"]]
    _invoice_now(world, subscription, before, lines)


def _invoice_now(world: World, subscription: Doc, before: Doc, lines: list[Doc]) -> None:
    customer = world.store.get("customer", subscription["customer"])
    if customer is None:
        return
    now = world.clock.now()
    invoice = invoices.create(
        world, customer, lines, reason="subscription_update", period=(now, now), subscription=subscription
    )
    subscription["latest_invoice"] = invoice["id"]
    world.emit_change("customer.subscription.updated", subscription, before)
    subscriptions.collect_renewal(world, invoice)
