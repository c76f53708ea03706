"""`/v1/invoiceitems`."""

from decimal import Decimal

from tollhouse_sandbox.billing import catalog, invoice_items
from tollhouse_sandbox.billing.amounts import line_amount
from tollhouse_sandbox.billing.lines import pricing_of
from tollhouse_sandbox.documents import Doc, merged_metadata
from tollhouse_sandbox.errors import invalid, missing
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    DECIMAL,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    Spec,
    fields,
    required,
)
from tollhouse_sandbox.stripe_api.resources import prices

_PRICE_DATA = fields(
    product=required(TEXT),
    **{name: prices.CREATE[name] for name in ("currency", "tax_behavior", "unit_amount", "unit_amount_decimal")},
)
_UPDATE: Spec = {
    "amount": INTEGER,
    "description": CLEARABLE_TEXT,
    "discountable": BOOLEAN,
    "metadata": METADATA,
    "period": fields(start=required(INTEGER), end=required(INTEGER)),
    "price_data": _PRICE_DATA,
    "pricing": fields(price=required(TEXT)),
    "quantity": INTEGER,
    "unit_amount_decimal": DECIMAL,
}
_CREATE: Spec = {
    **_UPDATE,
    "currency": TEXT,
    "customer": required(TEXT),
    "invoice": TEXT,
    "subscription": TEXT,
}
_LIST: Spec = {**PAGE, "created": MOMENT_RANGE, "customer": TEXT, "invoice": TEXT, "pending": BOOLEAN}
_COSTS = ("amount", "price_data", "pricing", "unit_amount_decimal")
_MOST = 99_999_999


def create(call: Call) -> Doc:
    """Something that the customer owes: on its next invoice, or on the draft named."""
    given = call.read(_CREATE)
    customer = call.find("customer", given["customer"], "customer")
    invoice = _draft(call, given["invoice"], customer) if "invoice" in given else None
    subscription = call.find("subscription", given["subscription"], "subscription") if "subscription" in given else None
    if subscription and subscription["customer"] != customer["id"]:
        raise invalid(f"Subscription {subscription['id']} is not one of customer {customer['id']}.", "subscription")
    currency = str(given.get("currency") or (invoice or customer)["currency"] or call.world.config.currency).lower()
    quantity = _quantity(given, 1)
    cost = _cost(call, given, currency, quantity)
    if cost is None:
        raise missing("amount")
    if invoice and cost["currency"] != invoice["currency"]:
        raise invalid(
            f"The currency of the invoice item ({cost['currency']}) is not that of the invoice ({invoice['currency']}).",
            "currency",
        )
    return invoice_items.create(
        call.world,
        customer,
        subscription=subscription["id"] if subscription else None,
        invoice=invoice,
        metadata=merged_metadata({}, given.get("metadata", {})),
        quantity=quantity,
        **cost,
        **_facts(given),
    )


def retrieve(call: Call) -> Doc:
    """An invoice item."""
    return call.find("invoiceitem", call.ids[0])


def update(call: Call) -> Doc:
    """Changes an item until its invoice is finalized."""
    item = call.find("invoiceitem", call.ids[0])
    given = call.read(_UPDATE)
    _check_open(call, item)
    quantity = _quantity(given, item["quantity"])
    cost = _cost(call, given, item["currency"], quantity)
    if cost is None and quantity != item["quantity"]:
        cost = _cost(call, {"unit_amount_decimal": item["pricing"]["unit_amount_decimal"]}, item["currency"], quantity)
    if cost and cost["currency"] != item["currency"]:
        raise invalid(f"The currency of an invoice item cannot change from {item['currency']}.", "currency")
    facts = _facts(given)
    if "metadata" in given:
        facts["metadata"] = merged_metadata(item["metadata"], given["metadata"])
    invoice_items.change(call.world, item, {**facts, "quantity": quantity, **(cost or {})})
    return item


def delete(call: Call) -> Doc:
    """Removes an item until its invoice is finalized."""
    item = call.find("invoiceitem", call.ids[0])
    _check_open(call, item)
    invoice_items.delete(call.world, item)
    return {"id": item["id"], "object": "invoiceitem", "deleted": True}


def list_(call: Call) -> Doc:
    """Newest first, by customer, invoice, time, and whether they wait for an invoice."""
    asked = call.read(_LIST)
    store = call.world.store
    if "invoice" in asked:
        rows = store.where("invoiceitem", "invoice", asked["invoice"])
    elif "customer" in asked:
        rows = store.where("invoiceitem", "customer", asked["customer"])
    else:
        rows = list(store.newest("invoiceitem"))
    chosen = (
        row
        for row in rows
        if asked.get("customer") in (None, row["customer"])
        and asked.get("pending") in (None, row["invoice"] is None)
        and created_within(asked.get("created"), row["date"])
    )
    return page(call, "invoiceitem", chosen, asked)


def _draft(call: Call, key: str, customer: Doc) -> Doc:
    invoice = call.find("invoice", key, "invoice")
    if invoice["customer"] != customer["id"]:
        raise invalid(f"Invoice {key} is not one of customer {customer['id']}.", "invoice")
    if invoice["status"] != "draft":
        raise invalid("This invoice is no longer editable", "invoice", "invoice_not_editable")
    return invoice


def _check_open(call: Call, item: Doc) -> None:
    invoice = invoice_items.invoice_of(call.world, item)
    if invoice and invoice["status"] != "draft":
        raise invalid(
            "This invoice item can no longer be changed or deleted: its invoice has been finalized.",
            code="invoice_not_editable",
        )


def _quantity(given: Doc, present: int) -> int:
    if "amount" in given:
        if "quantity" in given:
            raise invalid("You may only specify one of these parameters: amount, quantity.", "quantity")
        return 1
    quantity = given.get("quantity", present)
    if not 0 <= quantity <= 999_999:
        raise invalid("This value must be greater than or equal to 0.", "quantity")
    return int(quantity)


def _cost(call: Call, given: Doc, currency: str, quantity: int) -> Doc | None:
    """Currency, amount and pricing as the parameters say; None when they say nothing."""
    named = [name for name in _COSTS if given.get(name) is not None]
    if len(named) > 1:
        raise invalid(f"You may only specify one of these parameters: {', '.join(named)}.", named[1])
    if not named:
        return None
    price = _price(call, named[0], given, currency)
    if named[0] == "amount":
        return {"amount": given["amount"], "currency": price["currency"], "pricing": pricing_of(price)}
    amount = line_amount(price, quantity)
    if abs(amount) > _MOST:
        raise invalid(f"Invalid amount: at most {_MOST} can be billed at once.", named[0], "amount_too_large")
    return {"amount": amount, "currency": price["currency"], "pricing": pricing_of(price)}


def _price(call: Call, name: str, given: Doc, currency: str) -> Doc:
    """The price named, or one that Stripe keeps, inactive, for this item only."""
    match name:
        case "pricing":
            price = call.find("price", given["pricing"]["price"], "pricing[price]")
            if price["recurring"]:
                raise invalid(
                    "The price specified is set to `type=recurring` but this field only accepts prices with"
                    " `type=one_time`.",
                    "pricing[price]",
                )
            return price
        case "price_data":
            data = given["price_data"]
            product = call.find("product", data.pop("product"), "price_data[product]")
            return prices.create_from(call, product, {**data, "active": False})
        case "amount":
            if abs(given["amount"]) > _MOST:
                raise invalid(f"Invalid amount: at most {_MOST} can be billed at once.", "amount", "amount_too_large")
            return catalog.unlisted_price(call.world, currency, str(given["amount"]), livemode=call.livemode)
        case _:
            exact = format(Decimal(given["unit_amount_decimal"]), "f")
            return catalog.unlisted_price(call.world, currency, exact, livemode=call.livemode)


def _facts(given: Doc) -> Doc:
    facts: Doc = {name: given[name] for name in ("description", "discountable") if name in given}
    period = given.get("period")
    if period and period["start"] > period["end"]:
        raise invalid("The end of the period must be greater than or equal to its start.", "period[end]")
    return {**facts, "period": period} if period else facts
