"""Invoices that are still being written: a subscription's, and those written by hand."""

from tollhouse_sandbox.billing import discounts, tax_ids, taxes
from tollhouse_sandbox.billing import lines as billing_lines
from tollhouse_sandbox.documents import Doc, listed, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.shapes import INVOICE
from tollhouse_sandbox.world import World

_HOUR = 3600


def for_subscription(
    world: World, customer: Doc, lines: list[Doc], *, reason: str, period: tuple[int, int], subscription: Doc
) -> Doc:
    """A draft for the lines, which become its own, less the subscription's discounts.

    `period` is the one that has been, as on Stripe's invoices.
    """
    taken_off = discounts.apply(world, subscription, lines)
    _remember_debits(world, lines)
    automatic_tax = taxes.write(world, customer, lines) if subscription["automatic_tax"]["enabled"] else None
    finalizes_at = world.clock.now() + world.config.finalize_after_seconds
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    return _create(
        world,
        customer,
        lines,
        **({"automatic_tax": automatic_tax} if automatic_tax else {}),
        automatically_finalizes_at=finalizes_at,
        billing_reason=reason,
        collection_method=subscription["collection_method"],
        currency=subscription["currency"],
        discounts=[each["discount"] for each in taken_off],
        next_payment_attempt=finalizes_at,
        parent={"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        period_end=period[1],
        period_start=period[0],
        total_discount_amounts=taken_off,
        total_pretax_credit_amounts=discounts.credits_of(taken_off),
    )


def by_hand(world: World, customer: Doc, lines: list[Doc], *, auto_advance: bool, **given: object) -> Doc:
    """A draft that belongs to no subscription; `given` are fields of Stripe's object, currency among them."""
    now = world.clock.now()
    facts: Doc = {**given, "auto_advance": auto_advance, "billing_reason": "manual", "parent": None}
    facts.update(_times(now + _HOUR, facts), period_end=now, period_start=now)
    invoice = _create(world, customer, lines, **facts)
    _plan(world, invoice)
    return invoice


def schedule(world: World, invoice: Doc) -> None:
    """Brings the draft's times in line with an `auto_advance` that has changed."""
    pause = _HOUR if invoice["billing_reason"] == "manual" else world.config.finalize_after_seconds
    invoice.update(_times(world.clock.now() + pause, invoice))
    _plan(world, invoice)


def _times(moment: int, invoice: Doc) -> Doc:
    advances, charged = invoice["auto_advance"], invoice["collection_method"] == "charge_automatically"
    return {
        "automatically_finalizes_at": moment if advances else None,
        "next_payment_attempt": moment if advances and charged else None,
    }


def _plan(world: World, invoice: Doc) -> None:
    if invoice["automatically_finalizes_at"] is not None:
        world.plan_for(invoice["automatically_finalizes_at"], "finalize", invoice["id"])


def put_line(world: World, invoice: Doc, item: Doc) -> None:
    """Writes an invoice item, new or changed, into the draft."""
    before, line = snapshot(invoice), billing_lines.of_invoice_item(item)
    lines = invoice["lines"]["data"]
    place = _place_of(lines, item["id"])
    _own(world, invoice["id"], line)
    if place is None:
        lines.append(line)
    else:
        lines[place] = {**line, "id": lines[place]["id"]}
    _recount(world, invoice)
    world.emit_change("invoice.updated", invoice, before)


def drop_line(world: World, invoice: Doc, item: Doc) -> None:
    """Takes a deleted invoice item out of the draft."""
    before, lines = snapshot(invoice), invoice["lines"]["data"]
    place = _place_of(lines, item["id"])
    if place is not None:
        del lines[place]
    _recount(world, invoice)
    world.emit_change("invoice.updated", invoice, before)


def delete(world: World, invoice: Doc) -> None:
    """Throws the draft away; its invoice items wait for another."""
    for item in world.store.where("invoiceitem", "invoice", invoice["id"]):
        item["invoice"] = None
        world.store.put("invoiceitem", item)
    world.store.delete("invoice", invoice["id"])
    world.emit("invoice.deleted", invoice)


def preview(world: World, customer: Doc, subscription: Doc, lines: list[Doc], period: tuple[int, int]) -> Doc:
    """The invoice that these lines would make, which is kept nowhere."""
    taken_off = discounts.apply(world, subscription, lines)
    key = new_id("upcoming_in")
    for line in lines:
        line.update(id=f"il_tmp_{line['id'].removeprefix('il_')}", invoice=key)
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    invoice = _document(
        world,
        customer,
        key,
        lines,
        billing_reason="upcoming",
        collection_method=subscription["collection_method"],
        currency=subscription["currency"],
        discounts=[each["discount"] for each in taken_off],
        next_payment_attempt=period[1] + world.config.finalize_after_seconds,
        parent={"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        period_end=period[1],
        period_start=period[0],
        total_discount_amounts=taken_off,
        total_pretax_credit_amounts=discounts.credits_of(taken_off),
    )
    starting: int = customer["balance"]
    due = max(0, invoice["total"] + starting)
    invoice.update(
        amount_due=due,
        amount_remaining=due,
        ending_balance=invoice["total"] + starting - due,
        starting_balance=starting,
    )
    return invoice


def _create(world: World, customer: Doc, lines: list[Doc], **facts: object) -> Doc:
    key = new_id("in")
    for line in lines:
        _own(world, key, line)
    invoice = _document(world, customer, key, lines, **facts)
    world.store.put("invoice", invoice)
    world.emit("invoice.created", invoice)
    return invoice


def _document(world: World, customer: Doc, key: str, lines: list[Doc], **facts: object) -> Doc:
    return {
        "id": key,
        "object": "invoice",
        **snapshot(INVOICE),
        "account_country": world.config.country,
        "account_name": world.config.account_name,
        "created": world.clock.now(),
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": tax_ids.shown(world, customer["id"]),
        "lines": listed(lines, f"/v1/invoices/{key}/lines"),
        "livemode": customer["livemode"],
        "test_clock": customer["test_clock"],
        **_totals(lines),
        **facts,
    }


def _own(world: World, invoice: str, line: Doc) -> None:
    line["invoice"] = invoice
    item = world.store.get("invoiceitem", billing_lines.item_of(line) or "")
    if item:
        item["invoice"] = invoice
        world.store.put("invoiceitem", item)


def _place_of(lines: list[Doc], item: str) -> int | None:
    return next((place for place, line in enumerate(lines) if billing_lines.item_of(line) == item), None)


def remember_debit(world: World, line: Doc, amount: int, keys: list[str]) -> None:
    """What an item has cost for the line's time with these discounts: what is left of it can be credited later."""
    item = line["parent"]["subscription_item_details"]["subscription_item"]
    period = line["period"]
    debit = {"amount": amount, "start": period["start"], "end": period["end"], "discounts": keys}
    world.keep_private(item, debit=debit)


def _remember_debits(world: World, lines: list[Doc]) -> None:
    for line in lines:
        details = line["parent"]["subscription_item_details"]
        if details and not details["proration"]:
            amounts = line["discount_amounts"]
            net = line["amount"] - sum(each["amount"] for each in amounts)
            remember_debit(world, line, net, [each["discount"] for each in amounts])


def _recount(world: World, invoice: Doc) -> None:
    """Brings the sums in line with lines that have changed; what they are spared stays theirs."""
    lines, taken_off = invoice["lines"]["data"], invoice["total_discount_amounts"]
    customer = world.store.get("customer", invoice["customer"])
    if customer and invoice["automatic_tax"]["enabled"]:
        invoice["automatic_tax"] = taxes.write(world, customer, lines)
    spared = [each for line in lines for each in line["discount_amounts"]]
    for whole in taken_off:
        whole["amount"] = sum(each["amount"] for each in spared if each["discount"] == whole["discount"])
    invoice.update(_totals(lines), total_pretax_credit_amounts=discounts.credits_of(taken_off))


def _totals(lines: list[Doc]) -> Doc:
    subtotal = sum(line["amount"] for line in lines)
    written = taxes.totals(lines)
    total = subtotal - sum(each["amount"] for line in lines for each in line["discount_amounts"]) + taxes.added(written)
    due = max(0, total)
    return {
        "amount_due": due,
        "amount_remaining": due,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - taxes.included(lines),
        "total": total,
        "total_excluding_tax": total - sum(tax["amount"] for tax in written),
        "total_taxes": written,
    }
