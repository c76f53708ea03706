"""A subscription's life: created, activated, renewed, changed, past due, ended."""

from datetime import UTC, datetime

from tollhouse_sandbox.billing import discounts, drafts, invoice_items, invoices, lines, schedules
from tollhouse_sandbox.billing.amounts import every, line_amount, money
from tollhouse_sandbox.billing.periods import next_boundary
from tollhouse_sandbox.documents import Doc, listed, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.shapes import SUBSCRIPTION
from tollhouse_sandbox.world import World

LIVING = frozenset(("active", "trialing", "past_due", "unpaid", "incomplete"))
_INCOMPLETE_SECONDS = 23 * 3600
_NOTICE_SECONDS = 3 * 86_400


def create(
    world: World,
    customer: Doc,
    wanted: list[Doc],
    *,
    metadata: Doc | None = None,
    method: str | None = None,
    description: str | None = None,
    trial_end: int | None = None,
    cancel_at_period_end: bool = False,
    intent: Doc | None = None,
    offers: list[Doc] | None = None,
    automatic_tax: bool = False,
) -> tuple[Doc, Doc]:
    """The subscription, `incomplete` until paid (or `trialing`), and its first invoice, open to be collected.

    Each of `wanted` has a price, a quantity and metadata; `intent` is a payment already begun for it on a Checkout page;
    `offers` are coupons to redeem.
    """
    now = world.clock.now()
    trial_end = trial_end if trial_end and trial_end > now else None
    subscription = _document(world, customer, wanted[0]["price"]["currency"], metadata or {}, trial_end)
    subscription["default_payment_method"] = method
    subscription["description"] = description
    if automatic_tax:
        subscription["automatic_tax"].update(enabled=True, liability={"type": "self"})
    recurring = wanted[0]["price"]["recurring"]
    end = trial_end or next_boundary(now, recurring["interval"], recurring["interval_count"], now)
    items = [new_item(world, subscription, want, (now, end)) for want in wanted]
    subscription["items"] = listed(items, f"/v1/subscription_items?subscription={subscription['id']}")
    if cancel_at_period_end:
        subscription.update(cancel_at_period_end=True, cancel_at=end, canceled_at=now)
    world.store.put("subscription", subscription)
    for offer in offers or []:
        discounts.attach(world, subscription, offer)
    invoice_lines = [period_line(world, subscription, item, (now, end)) for item in items]
    invoice = drafts.for_subscription(
        world, customer, invoice_lines, reason="subscription_create", period=(now, now), subscription=subscription
    )
    subscription["latest_invoice"] = invoice["id"]
    if customer["currency"] != subscription["currency"]:  # none of another currency runs any more
        customer["currency"] = subscription["currency"]
        world.store.put("customer", customer)
    world.store.put("subscription", subscription)
    world.emit("customer.subscription.created", subscription)
    plan_period_end(world, subscription)
    invoices.finalize(world, invoice, intent)
    before = snapshot(subscription)
    discounts.use_up(world, subscription, invoice)
    world.emit_change("customer.subscription.updated", subscription, before)
    if subscription["status"] == "incomplete" and invoice["status"] != "paid":
        world.plan_for(now + _INCOMPLETE_SECONDS, "incomplete", subscription["id"])
    return subscription, invoice


def new_item(world: World, subscription: Doc, wanted: Doc, period: tuple[int, int]) -> Doc:
    """A subscription item for `wanted` (price, quantity, metadata) in the period."""
    price = wanted["price"]
    item: Doc = {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "billed_until": None,
        "billing_thresholds": None,
        "created": world.clock.now(),
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": wanted.get("metadata") or {},
        "plan": world.store.get("plan", price["id"]),
        "price": price,
        "quantity": wanted.get("quantity", 1),
        "subscription": subscription["id"],
        "tax_rates": [],
    }
    world.keep_private(item["id"], subscription=subscription["id"])
    return item


def period_line(world: World, subscription: Doc, item: Doc, period: tuple[int, int]) -> Doc:
    """The invoice line that pays an item's period in advance; a trial costs nothing."""
    price = item["price"]
    product = world.store.get("product", price["product"])
    name = product["name"] if product else price["product"]
    if subscription["status"] == "trialing":
        text = f"Trial period for {name}"
        return lines.of_subscription_item(subscription, item, amount=0, description=text, period=period)
    unit = money(line_amount(price, 1), price["currency"])
    return lines.of_subscription_item(
        subscription,
        item,
        amount=line_amount(price, item["quantity"]),
        description=f"{item['quantity']} × {name} (at {unit} / {every(price['recurring'])})",
        period=period,
    )


def activate(world: World, subscription: Doc, *, method: str | None = None) -> None:
    """Its latest invoice has been paid."""
    before = snapshot(subscription)
    if subscription["status"] in ("incomplete", "past_due", "unpaid"):
        subscription["status"] = "active"
    if method:
        subscription["default_payment_method"] = method
    world.emit_change("customer.subscription.updated", subscription, before)


def settle_invoice(world: World, invoice: Doc) -> None:
    """Brings the subscription in line with what became of its invoice: paid, failed, or out of retries."""
    subscription = subscription_of(world, invoice)
    if subscription is None or subscription["status"] not in LIVING:
        return
    if invoice["status"] == "paid":
        if subscription["latest_invoice"] == invoice["id"]:
            activate(world, subscription)
        return
    if subscription["status"] not in ("active", "past_due", "trialing") or not invoice["attempted"]:
        return
    intent = invoices.intent_of(world, invoice)
    if intent and intent["status"] == "processing":
        return
    out_of_retries = invoice["next_payment_attempt"] is None
    if out_of_retries and world.config.after_last_retry == "cancel":
        end(world, subscription, "payment_failed")
        return
    before = snapshot(subscription)
    subscription["status"] = "unpaid" if out_of_retries and world.config.after_last_retry == "unpaid" else "past_due"
    world.emit_change("customer.subscription.updated", subscription, before)


def subscription_of(world: World, invoice: Doc) -> Doc | None:
    """The subscription that an invoice bills."""
    details = (invoice["parent"] or {}).get("subscription_details")
    return world.store.get("subscription", details["subscription"]) if details else None


def card_of(world: World, invoice: Doc) -> Doc | None:
    """The card that is charged: the invoice's own, its subscription's, else the customer's default."""
    customer, subscription = world.store.get("customer", invoice["customer"]), subscription_of(world, invoice)
    own = subscription["default_payment_method"] if subscription else None
    fallback = customer["invoice_settings"]["default_payment_method"] if customer else None
    key = invoice["default_payment_method"] or own or fallback
    return world.store.get("payment_method", key) if key else None


def renew(world: World, subscription: Doc, *, reason: str = "subscription_cycle", start: int | None = None) -> Doc:
    """Opens the next period and bills it in advance. `start` moves the anchor there, for a renewal out of turn."""
    customer = world.store.get("customer", subscription["customer"])
    if customer is None:
        raise LookupError(f"subscription {subscription['id']} has no customer {subscription['customer']}")
    before = snapshot(subscription)
    old = current_period(subscription)
    begins = old[1] if start is None else start
    if start is not None:
        subscription["billing_cycle_anchor"] = start
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    for item in subscription["items"]["data"]:
        recurring = item["price"]["recurring"]
        anchor = subscription["billing_cycle_anchor"]
        item["current_period_start"] = begins
        item["current_period_end"] = next_boundary(anchor, recurring["interval"], recurring["interval_count"], begins)
    period = current_period(subscription)
    bought = world.private(subscription["id"]).pop("pending_lines", [])
    bought += invoice_items.pending_lines(world, customer, subscription["currency"], subscription["id"])
    bought += [period_line(world, subscription, item, period) for item in subscription["items"]["data"]]
    invoice = drafts.for_subscription(
        world, customer, bought, reason=reason, period=(old[0], begins), subscription=subscription
    )
    subscription["latest_invoice"] = invoice["id"]
    discounts.use_up(world, subscription, invoice)
    world.emit_change("customer.subscription.updated", subscription, before)
    plan_period_end(world, subscription)
    if subscription["status"] == "unpaid":
        invoices.stop_collecting(world, invoice)
    else:
        world.plan_for(world.clock.now() + world.config.finalize_after_seconds, "finalize", invoice["id"])
    return invoice


def advance_invoice(world: World, invoice: Doc) -> None:
    """Finalizes a draft that is due, charges the card on file or sends the bill, and draws the consequences."""
    if invoice["status"] == "draft":
        invoices.finalize(world, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "send_invoice":
        invoices.send(world, invoice)
    elif invoice["status"] == "open":
        address = f"{world.base_url}/invoice/{invoice['id']}"
        card = card_of(world, invoice)
        invoices.collect(world, invoice, card, off_session=True, asks_owner=True, return_url=address)
    settle_invoice(world, invoice)


def current_period(subscription: Doc) -> tuple[int, int]:
    """Start and end of the period under way."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def day_of(moment: int) -> datetime:
    """The day, in UTC, as Stripe's descriptions name it."""
    return datetime.fromtimestamp(moment, UTC)


def plan_period_end(world: World, subscription: Doc) -> None:
    """Puts the period's end on the agenda, and the notice before a trial ends."""
    end_of_period = current_period(subscription)[1]
    world.plan_for(end_of_period, "period", subscription["id"])
    if subscription["status"] == "trialing":
        world.plan_for(max(world.clock.now(), end_of_period - _NOTICE_SECONDS), "trial_notice", subscription["id"])


def end(world: World, subscription: Doc, reason: str, details: Doc | None = None) -> None:
    """Cancels at once; open invoices are not collected any more."""
    now = world.clock.now()
    subscription.update(status="canceled", ended_at=now)
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["cancellation_details"].update({"reason": reason, **(details or {})})
    schedules.cancel(world, subscription)
    world.store.put("subscription", subscription)
    world.emit("customer.subscription.deleted", subscription)
    for invoice in world.store.where("invoice", "subscription_id", subscription["id"]):
        if invoice["status"] in ("open", "draft") and invoice["auto_advance"]:
            invoices.stop_collecting(world, invoice)


def _document(world: World, customer: Doc, currency: str, metadata: Doc, trial_end: int | None) -> Doc:
    now = world.clock.now()
    return {
        "id": new_id("sub"),
        "object": "subscription",
        **snapshot(SUBSCRIPTION),
        "billing_cycle_anchor": trial_end or now,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": now},
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "items": listed([], ""),
        "livemode": customer["livemode"],
        "metadata": metadata,
        "start_date": now,
        "status": "trialing" if trial_end else "incomplete",
        "test_clock": customer["test_clock"],
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
    }
