"""`/v1/invoices`."""

from tollhouse_sandbox.billing import drafts, invoice_items, invoices, payment_methods, subscriptions
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import StripeError, card_error, invalid, missing
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    Spec,
    one_of,
    required,
)

_STATUSES = ("draft", "open", "paid", "uncollectible", "void")
_METHOD = one_of("charge_automatically", "send_invoice")
_LIST: Spec = {
    **PAGE,
    "collection_method": _METHOD,
    "created": MOMENT_RANGE,
    "customer": TEXT,
    "status": one_of(*_STATUSES),
    "subscription": TEXT,
}
_UPDATE: Spec = {
    "auto_advance": BOOLEAN,
    "days_until_due": INTEGER,
    "default_payment_method": CLEARABLE_TEXT,
    "description": CLEARABLE_TEXT,
    "due_date": INTEGER,
    "footer": CLEARABLE_TEXT,
    "metadata": METADATA,
}
_CREATE: Spec = {
    **_UPDATE,
    "collection_method": _METHOD,
    "currency": TEXT,
    "customer": required(TEXT),
    "pending_invoice_items_behavior": one_of("exclude", "include"),
}
_PAY: Spec = {"off_session": BOOLEAN, "paid_out_of_band": BOOLEAN, "payment_method": TEXT}
_DAY = 86_400


def create(call: Call) -> Doc:
    """A draft by hand: empty, or with the items that wait for the customer's next invoice."""
    given = call.read(_CREATE)
    world = call.world
    customer = call.find("customer", given["customer"], "customer")
    method = given.setdefault("collection_method", "charge_automatically")
    if method == "send_invoice" and "due_date" not in given and "days_until_due" not in given:
        raise missing("days_until_due")
    currency = str(given.get("currency") or customer["currency"] or world.config.currency).lower()
    include = given.get("pending_invoice_items_behavior") == "include"
    return drafts.by_hand(
        world,
        customer,
        invoice_items.pending_lines(world, customer, currency) if include else [],
        auto_advance=given.get("auto_advance", False),
        collection_method=method,
        currency=currency,
        default_payment_method=_own_card(call, given.get("default_payment_method"), customer["id"]),
        description=given.get("description"),
        due_date=_due_date(world.clock.now(), given, method),
        footer=given.get("footer"),
        metadata=merged_metadata({}, given.get("metadata", {})),
    )


def retrieve(call: Call) -> Doc:
    """An invoice; `payments` only when expanded, as everywhere."""
    return call.find("invoice", call.ids[0], "invoice")


def update(call: Call) -> Doc:
    """Changes texts, metadata and how it is paid; the day on which it is due only while it is a draft."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    given = call.read(_UPDATE)
    before = snapshot(invoice)
    if "due_date" in given or "days_until_due" in given:
        _check_draft(invoice)
        given["due_date"] = _due_date(invoice["created"], given, invoice["collection_method"])
        given.pop("days_until_due", None)
    if "default_payment_method" in given:
        given["default_payment_method"] = _own_card(call, given["default_payment_method"], invoice["customer"])
    if "metadata" in given:
        given["metadata"] = merged_metadata(invoice["metadata"], given["metadata"])
    invoice.update(given)
    if "auto_advance" in given and invoice["status"] == "draft":
        drafts.schedule(call.world, invoice)
    call.world.emit_change("invoice.updated", invoice, before)
    return invoice


def delete(call: Call) -> Doc:
    """Throws a draft away that was written by hand."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    call.read({})
    if invoice["status"] != "draft" or invoice["billing_reason"] != "manual":
        raise invalid("You can only delete draft invoices that belong to no subscription.")
    drafts.delete(call.world, invoice)
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


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
    given = call.read({"auto_advance": BOOLEAN})
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    invoice["auto_advance"] = given.get("auto_advance", invoice["auto_advance"])
    invoices.finalize(call.world, invoice)
    subscriptions.settle_invoice(call.world, invoice)
    return invoice


def pay(call: Call) -> Doc:
    """Pays now, with the given card or the one on file, or takes it for paid elsewhere; a decline is a 402."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    given = call.read(_PAY)
    world = call.world
    if invoice["status"] == "paid":
        raise StripeError(400, "Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] == "void":
        raise invalid("You can only pay open invoices; this invoice is void.")
    under_way = invoices.intent_of(world, invoice)
    if under_way and under_way["status"] == "processing":
        raise invalid(
            "This PaymentIntent could not be confirmed because it has a status of processing.",
            code="payment_intent_unexpected_state",
        )
    if "payment_method" in given:
        method: Doc | None = payment_methods.resolve(world, given["payment_method"], livemode=call.livemode)
    else:
        method = subscriptions.card_of(world, invoice)
    if invoice["status"] == "draft":
        invoices.finalize(world, invoice)
    decline = None
    if invoice["status"] != "paid" and given.get("paid_out_of_band"):
        invoices.settle_elsewhere(world, invoice)
    elif invoice["status"] != "paid":
        off_session = given.get("off_session", True)
        decline = invoices.collect(world, invoice, method, off_session=off_session, asks_owner=True)
    subscriptions.settle_invoice(world, invoice)
    intent = invoices.intent_of(world, invoice)
    if decline:
        raise card_error(
            decline.code, decline.message, decline.decline_code, charge=intent["latest_charge"] if intent else None
        )
    if intent and intent["status"] == "requires_action":
        raise card_error(
            "invoice_payment_intent_requires_action",
            "Payment for this invoice requires additional user action before it can be completed successfully.",
        )
    return invoice


def void(call: Call) -> Doc:
    """Voids an open invoice, or one that was given up."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    call.read({})
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(
            f"You can only pass in open invoices. This invoice isn't open: its status is {invoice['status']}."
        )
    invoices.void(call.world, invoice)
    return invoice


def send(call: Call) -> Doc:
    """Finalizes the bill if need be, and sends it to a customer who pays by hand."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    call.read({})
    if invoice["collection_method"] != "send_invoice":
        raise invalid("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] not in ("draft", "open"):
        raise invalid(f"You can only send draft and open invoices; this invoice is {invoice['status']}.")
    if not invoice["customer_email"]:
        raise invalid("The invoice cannot be sent: its customer has no email address.")
    if invoice["status"] == "draft":
        invoices.finalize(call.world, invoice)
    invoices.send(call.world, invoice)
    return invoice


def mark_uncollectible(call: Call) -> Doc:
    """Gives an open invoice up."""
    invoice = call.find("invoice", call.ids[0], "invoice")
    call.read({})
    if invoice["status"] != "open":
        raise invalid(f"You can only mark open invoices as uncollectible; this invoice is {invoice['status']}.")
    invoices.mark_uncollectible(call.world, invoice)
    return invoice


def _check_draft(invoice: Doc) -> None:
    if invoice["status"] != "draft":
        raise invalid("This invoice is no longer editable", code="invoice_not_editable")


def _due_date(created: int, given: Doc, method: str) -> int | None:
    """When a bill that is sent is due; nothing else has such a day."""
    named = [name for name in ("days_until_due", "due_date") if name in given]
    if named and method != "send_invoice":
        raise invalid(f"You can only specify `{named[0]}` if `collection_method` is `send_invoice`.", named[0])
    if len(named) == 2:
        raise invalid("You may only specify one of these parameters: days_until_due, due_date.", "due_date")
    if not named:
        return None
    due = given[named[0]] if named[0] == "due_date" else created + given[named[0]] * _DAY
    if not created <= due <= created + 100 * 366 * _DAY:
        raise invalid("The invoice must be due in the future.", named[0])
    return int(due)


def _own_card(call: Call, key: str | None, customer: str) -> str | None:
    if key is None:
        return None
    method = call.find("payment_method", key, "default_payment_method")
    if method["customer"] != customer:
        raise invalid(
            f"The customer does not have a payment method with the ID {key}. The payment method must be attached to the"
            " customer.",
            "default_payment_method",
            "resource_missing",
        )
    return key
