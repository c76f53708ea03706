"""`/v1/invoices`."""

from tollhouse_sandbox.billing import invoices, payment_methods, subscriptions
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import StripeError, card_error, invalid
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    Spec,
    one_of,
)

_STATUSES = ("draft", "open", "paid", "uncollectible", "void")
_LIST: Spec = {
    **PAGE,
    "collection_method": one_of("charge_automatically", "send_invoice"),
    "created": MOMENT_RANGE,
    "customer": TEXT,
    "status": one_of(*_STATUSES),
    "subscription": TEXT,
}
_UPDATE: Spec = {
    "auto_advance": BOOLEAN,
    "description": CLEARABLE_TEXT,
    "footer": CLEARABLE_TEXT,
    "metadata": METADATA,
}
_PAY: Spec = {"off_session": BOOLEAN, "payment_method": TEXT}


def retrieve(call: Call) -> Doc:
    """An invoice; `payments` only when expanded, as everywhere."""
    return call.find("invoice", call.ids[0], "invoice")


def update(call: Call) -> Doc:
    """Changes texts and metadata."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    given = call.read(_UPDATE)
    before = snapshot(invoice)
    if "metadata" in given:
        given["metadata"] = merged_metadata(invoice["metadata"], given["metadata"])
    invoice.update(given)
    call.world.emit_change("invoice.updated", invoice, before)
    return invoice


def list_(call: Call) -> Doc:
    """Newest first, by customer, subscription, status and time."""
    asked = call.read(_LIST)
    store = call.world.store
    if "subscription" in asked:
        rows = store.where("invoice", "subscription_id", asked["subscription"])
    elif "customer" in asked:
        rows = store.where("invoice", "customer", asked["customer"])
    else:
        rows = list(store.newest("invoice"))
    chosen = (
        row
        for row in rows
        if asked.get("status") in (None, row["status"])
        and asked.get("customer") in (None, row["customer"])
        and asked.get("collection_method") in (None, row["collection_method"])
        and created_within(asked.get("created"), row["created"])
    )
    return page(call, "invoice", chosen, asked)


def lines(call: Call) -> Doc:
    """The invoice's lines, in their order."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    return page(call, "line_item", invoice["lines"]["data"], call.read(PAGE))


def finalize(call: Call) -> Doc:
    """Opens a draft."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    call.read({"auto_advance": BOOLEAN})
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    invoices.finalize(call.world, invoice)
    subscriptions.settle_invoice(call.world, invoice)
    return invoice


def pay(call: Call) -> Doc:
    """Pays now, with the given card or the one on file; a decline is a 402."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    given = call.read(_PAY)
    world = call.world
    if invoice["status"] == "paid":
        raise StripeError(400, "Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] in ("void", "uncollectible"):
        raise invalid(f"You can only pay open invoices; this invoice is {invoice['status']}.")
    subscription = subscriptions.subscription_of(world, invoice)
    if "payment_method" in given:
        method: Doc | None = payment_methods.resolve(world, given["payment_method"], livemode=call.livemode)
    else:
        method = subscriptions.payment_method_of(world, subscription) if subscription else None
    if invoice["status"] == "draft":
        invoices.finalize(world, invoice)
    decline = None
    if invoice["status"] == "open":
        decline = invoices.collect(world, invoice, method, off_session=given.get("off_session", False))
    subscriptions.settle_invoice(world, invoice)
    if decline:
        intent = invoices.intent_of(world, invoice)
        raise card_error(
            decline.code, decline.message, decline.decline_code, charge=intent["latest_charge"] if intent else None
        )
    if invoice["status"] == "open":
        raise card_error(
            "invoice_payment_intent_requires_action",
            "Payment for this invoice requires additional user action before it can be completed successfully.",
        )
    return invoice


def void(call: Call) -> Doc:
    """Voids an open invoice."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    call.read({})
    if invoice["status"] != "open":
        raise invalid(
            f"You can only pass in open invoices. This invoice isn't open: its status is {invoice['status']}."
        )
    invoices.void(call.world, invoice)
    return invoice
