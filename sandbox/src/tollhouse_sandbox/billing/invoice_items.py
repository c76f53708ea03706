"""Invoice items: what a customer owes beside its subscriptions, until an invoice takes it up."""

from tollhouse_sandbox.billing import drafts, lines
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World


def create(
    world: World, customer: Doc, *, currency: str, subscription: str | None, invoice: Doc | None, **given: object
) -> Doc:
    """An item that waits for the customer's next invoice, or is written into the draft given at once.

    `given` are fields of Stripe's object: amount, pricing and quantity among them.
    """
    now = world.clock.now()
    details = {"subscription": subscription, "subscription_item": None}
    item: Doc = {
        "id": new_id("ii"),
        "object": "invoiceitem",
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "date": now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "frozen_fields": None,
        "invoice": None,
        "invoicing_rules": None,
        "livemode": customer["livemode"],
        "metadata": {},
        "parent": {"subscription_details": details, "type": "subscription_details"} if subscription else None,
        "period": {"end": now, "start": now},
        "proration": False,
        "proration_details": None,
        "tax_rates": [],
        "test_clock": customer["test_clock"],
        **given,
    }
    _settle(item)
    if customer["currency"] is None:
        customer["currency"] = currency
        world.store.put("customer", customer)
        world.emit("customer.updated", customer, {"currency": None})
    world.store.put("invoiceitem", item)
    if invoice:
        item["invoice"] = invoice["id"]
    world.emit("invoiceitem.created", item)
    if invoice:
        drafts.put_line(world, invoice, item)
    return item


def change(world: World, item: Doc, given: Doc) -> None:
    """Changes an item, and its line in the draft that has taken it up."""
    item.update(given)
    _settle(item)
    world.store.put("invoiceitem", item)
    invoice = invoice_of(world, item)
    if invoice:
        drafts.put_line(world, invoice, item)


def delete(world: World, item: Doc) -> None:
    """Removes an item, and its line from the draft that has taken it up."""
    invoice = invoice_of(world, item)
    world.store.delete("invoiceitem", item["id"])
    if invoice:
        drafts.drop_line(world, invoice, item)
    world.emit("invoiceitem.deleted", item)


def invoice_of(world: World, item: Doc) -> Doc | None:
    """The invoice that has taken the item up."""
    return world.store.get("invoice", item["invoice"]) if item["invoice"] else None


def pending_lines(world: World, customer: Doc, currency: str, subscription: str | None = None) -> list[Doc]:
    """Lines for the items that wait in this currency, oldest first: those of no subscription, and of the one named."""
    waiting = [
        item
        for item in reversed(world.store.where("invoiceitem", "customer", customer["id"]))
        if item["invoice"] is None
        and item["currency"] == currency
        and (item["parent"] is None or item["parent"]["subscription_details"]["subscription"] == subscription)
    ]
    return [lines.of_invoice_item(snapshot(item)) for item in waiting]


def _settle(item: Doc) -> None:
    item["quantity_decimal"] = str(item["quantity"])
    item["net_amount"] = None if item["discountable"] else item["amount"]
