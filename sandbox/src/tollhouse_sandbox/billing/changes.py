"""Changing what a subscription buys while its period runs, prorated to the second."""

import msgspec

from tollhouse_sandbox.billing import discounts, drafts, invoice_items, subscriptions
from tollhouse_sandbox.billing import lines as billing_lines
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
    prorates = proration != "none" and was_paid
    credits = _credits(world, subscription, old_items, at) if prorates else []
    if starts_over:
        _keep_pending(world, subscription, credits)
        _restart(world, subscription, before)
        return
    charges = _charges(world, subscription, items, at) if prorates else []
    lines = _without_unchanged(credits, charges)
    for line in charges:
        if line in lines:
            drafts.remember_debit(world, line, line["amount"], line["discounts"])
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
    item = subscription["items"]["data"][0]
    billed = proration == "always_invoice" and price["id"] != item["price"]["id"]
    if not billed and _interval(item) == _interval({"price": price}):
        return []
    wanted, now = [to_price(subscription, price)], world.clock.now()
    return next_invoice(world, subscription, wanted, proration=proration, at=now, anchor_now=False)[0]


def next_invoice(
    world: World, subscription: Doc, wanted: list[ItemChange], *, proration: str, at: int, anchor_now: bool
) -> tuple[list[Doc], tuple[int, int]]:
    """The lines that the next invoice would have if this changed now, and the period that would be over with it.

    That is today's where the change is billed at once, the renewal's otherwise. Nothing is changed or kept.
    """
    changed = snapshot(subscription)
    old_items = snapshot(subscription)["items"]["data"]
    for change in wanted:
        _apply(world, changed, change)
    items, now = changed["items"]["data"], world.clock.now()
    prorates = bool(wanted or anchor_now) and proration != "none" and subscription["status"] in ("active", "past_due")
    credits = _credits(world, subscription, old_items, at) if prorates else []
    waiting = snapshot({"lines": world.private(subscription["id"]).get("pending_lines", [])})["lines"]
    if anchor_now or _interval(old_items[0]) != _interval(items[0]):
        interval, count = _interval(items[0])
        period = (now, next_boundary(now, interval, count, now))
        return [*waiting, *credits, *_period_lines(world, changed, period)], (now, now)
    charges = _charges(world, changed, items, at) if prorates else []
    lines = _without_unchanged(credits, charges)
    if proration == "always_invoice" and lines:
        return lines, (now, now)
    customer = world.store.get("customer", subscription["customer"]) or {"id": subscription["customer"]}
    waiting += invoice_items.pending_lines(world, customer, subscription["currency"], subscription["id"])
    period = subscriptions.current_period(changed)
    if changed["cancel_at"] is not None and changed["cancel_at"] <= period[1]:
        return waiting + lines, period
    changed["status"] = "active"  # a trial is over then
    following = (period[1], next_boundary(changed["billing_cycle_anchor"], *_interval(items[0]), period[1]))
    return [*waiting, *lines, *_period_lines(world, changed, following)], period


def _period_lines(world: World, subscription: Doc, period: tuple[int, int]) -> list[Doc]:
    return [subscriptions.period_line(world, subscription, item, period) for item in subscription["items"]["data"]]


def end_trial(world: World, subscription: Doc) -> None:
    """Ends the trial now and bills the first paid period."""
    subscription["trial_end"] = world.clock.now()
    invoice = subscriptions.renew(world, subscription, start=world.clock.now())
    subscriptions.advance_invoice(world, invoice)


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


def _credits(world: World, subscription: Doc, items: list[Doc], at: int) -> list[Doc]:
    """What was paid for the time that is left, as it was paid: a discounted item is credited discounted."""
    lines = []
    for item in items:
        whole = {
            "amount": line_amount(item["price"], item["quantity"]),
            "start": item["current_period_start"],
            "end": item["current_period_end"],
            "discounts": [],
        }
        debit = world.private(item["id"]).get("debit", whole)
        amount = _left_of(debit["amount"], debit["start"], debit["end"], at)
        lines.append(_line(world, subscription, item, at, "Unused time on", -amount, debit["discounts"]))
    return lines


def _charges(world: World, subscription: Doc, items: list[Doc], at: int) -> list[Doc]:
    """What the items cost for the rest of the period, less the discounts that go on."""
    wholes = [line_amount(item["price"], item["quantity"]) for item in items]
    keys, nets = discounts.lasting(world, subscription, items, wholes)
    lines = []
    for item, net in zip(items, nets, strict=True):
        amount = _left_of(net, item["current_period_start"], item["current_period_end"], at)
        lines.append(_line(world, subscription, item, at, "Remaining time on", amount, keys))
    return lines


def _left_of(whole: int, start: int, end: int, at: int) -> int:
    """The part of the amount for the time after `at`, by the second, rounded half up."""
    left = max(0, min(end - start, end - at))
    return (2 * whole * left + (end - start)) // (2 * (end - start))


def _line(world: World, subscription: Doc, item: Doc, at: int, words: str, amount: int, keys: list[str]) -> Doc:
    """A proration. Its amount includes the discounts, which are named with nothing more to take off."""
    product = world.store.get("product", item["price"]["product"])
    name = product["name"] if product else item["price"]["product"]
    quantity = "" if item["quantity"] == 1 else f"{item['quantity']} × "
    line = billing_lines.of_subscription_item(
        subscription,
        item,
        amount=amount,
        description=f"{words} {quantity}{name} after {_day(at)}",
        period=(at, item["current_period_end"]),
        proration=True,
    )
    line.update(discounts=list(keys), discount_amounts=[{"amount": 0, "discount": key} for key in keys])
    return line


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
    lines += _period_lines(world, subscription, subscriptions.current_period(subscription))
    _invoice_now(world, subscription, before, lines)


def _invoice_now(world: World, subscription: Doc, before: Doc, lines: list[Doc]) -> None:
    customer = world.store.get("customer", subscription["customer"])
    if customer is None:
        return
    now = world.clock.now()
    invoice = drafts.for_subscription(
        world, customer, lines, reason="subscription_update", period=(now, now), subscription=subscription
    )
    subscription["latest_invoice"] = invoice["id"]
    discounts.use_up(world, subscription, invoice)
    world.emit_change("customer.subscription.updated", subscription, before)
    subscriptions.advance_invoice(world, invoice)
