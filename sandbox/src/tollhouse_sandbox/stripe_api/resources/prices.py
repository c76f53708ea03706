"""`/v1/prices`."""

from tollhouse_sandbox.billing import catalog
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import invalid, missing
from tollhouse_sandbox.identifiers import new_id
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
    TEXTS,
    Spec,
    fields,
    one_of,
    required,
)

_INTERVAL = one_of("day", "month", "week", "year")
_TAX = one_of("exclusive", "inclusive", "unspecified")
RECURRING = fields(
    interval=required(_INTERVAL),
    interval_count=INTEGER,
    trial_period_days=INTEGER,
    usage_type=one_of("licensed"),
)
CREATE: Spec = {
    "active": BOOLEAN,
    "billing_scheme": one_of("per_unit"),
    "currency": required(TEXT),
    "lookup_key": TEXT,
    "metadata": METADATA,
    "nickname": TEXT,
    "product": TEXT,
    "product_data": fields(
        active=BOOLEAN, id=TEXT, metadata=METADATA, name=required(TEXT), statement_descriptor=TEXT, unit_label=TEXT
    ),
    "recurring": RECURRING,
    "tax_behavior": _TAX,
    "transfer_lookup_key": BOOLEAN,
    "unit_amount": INTEGER,
    "unit_amount_decimal": DECIMAL,
}
_UPDATE: Spec = {
    "active": BOOLEAN,
    "lookup_key": CLEARABLE_TEXT,
    "metadata": METADATA,
    "nickname": CLEARABLE_TEXT,
    "tax_behavior": _TAX,
    "transfer_lookup_key": BOOLEAN,
}
_LIST: Spec = {
    **PAGE,
    "active": BOOLEAN,
    "created": MOMENT_RANGE,
    "currency": TEXT,
    "lookup_keys": TEXTS,
    "product": TEXT,
    "recurring": fields(interval=_INTERVAL, usage_type=one_of("licensed", "metered")),
    "type": one_of("one_time", "recurring"),
}
_LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}


def create(call: Call) -> Doc:
    """A new price of a product, or of a product made with it."""
    given = call.read(CREATE)
    product_key, product_data = given.pop("product", None), given.pop("product_data", None)
    if product_key:
        product = call.find("product", product_key, "product")
    elif product_data:
        product = {}
    else:
        raise missing("product")
    _check(call, given)
    if product_data:
        product = create_product(call, product_data)
    return create_from(call, product, given)


def create_product(call: Call, given: Doc) -> Doc:
    """The product made along with its price, from `product_data`."""
    metadata = merged_metadata({}, given.get("metadata", {}))
    key = given.get("id")
    return catalog.create_product(
        call.world,
        livemode=call.livemode,
        **{**given, "metadata": metadata, "key": key, "id": key or new_id("prod", 14)},
    )


def create_from(call: Call, product: Doc, given: Doc) -> Doc:
    """A price of the product from parameters that were read by `CREATE`."""
    _check(call, given)
    if given.pop("transfer_lookup_key", False) and given.get("lookup_key"):
        catalog.release_lookup_key(call.world, given["lookup_key"], livemode=call.livemode)
    metadata = merged_metadata({}, given.get("metadata", {}))
    return catalog.create_price(call.world, product, **{**given, "metadata": metadata})


def retrieve(call: Call) -> Doc:
    """A price."""
    return call.find("price", call.ids[0])


def update(call: Call) -> Doc:
    """Changes the fields given; the amount and the interval of a price never change."""
    price = call.find("price", call.ids[0])
    given = call.read(_UPDATE)
    transfer = given.pop("transfer_lookup_key", False)
    key = given.get("lookup_key")
    if key and key != price["lookup_key"]:
        if transfer:
            catalog.release_lookup_key(call.world, key, livemode=call.livemode)
        _check_lookup_key(call, key)
    before = snapshot(price)
    if "metadata" in given:
        given["metadata"] = merged_metadata(price["metadata"], given["metadata"])
    price.update(given)
    call.world.emit_change("price.updated", price, before)
    if price["recurring"]:
        plan_before = snapshot(call.world.store.get("plan", price["id"]) or {})
        call.world.emit_change("plan.updated", catalog.keep_plan(call.world, price), plan_before)
    return price


def list_(call: Call) -> Doc:
    """Newest first, by product, lookup keys, type, currency and activity."""
    asked = call.read(_LIST)
    store = call.world.store
    keys = asked.get("lookup_keys")
    if keys:
        rows = [price for key in keys for price in store.where("price", "lookup_key", key)]
        rows.sort(key=lambda price: price["created"], reverse=True)
    elif "product" in asked:
        rows = store.where("price", "product", asked["product"])
    else:
        rows = list(store.newest("price"))
    recurring = asked.get("recurring") or {}
    chosen = (
        row
        for row in rows
        if asked.get("active") in (None, row["active"])
        and asked.get("currency") in (None, row["currency"])
        and asked.get("type") in (None, row["type"])
        and asked.get("product") in (None, row["product"])
        and (not recurring.get("interval") or (row["recurring"] or {}).get("interval") == recurring["interval"])
        and created_within(asked.get("created"), row["created"])
    )
    return page(call, "price", chosen, asked)


def _check(call: Call, given: Doc) -> None:
    currency = given["currency"].lower()
    if len(currency) != 3 or not currency.isalpha():
        raise invalid(
            f"Invalid currency: {currency}. Stripe currently supports these currencies: usd, eur, gbp, …", "currency"
        )
    given["currency"] = currency
    amount = given.get("unit_amount")
    if amount is None and given.get("unit_amount_decimal") is None:
        raise missing("unit_amount")
    if amount is not None and given.get("unit_amount_decimal") is not None:
        raise invalid("You may only specify one of these parameters: unit_amount, unit_amount_decimal.", "unit_amount")
    if amount is not None and not 0 <= amount <= 99_999_999_999:
        raise invalid(
            "This value must be greater than or equal to 0." if amount < 0 else "Invalid unit_amount: too large",
            "unit_amount",
        )
    recurring = given.get("recurring")
    if recurring and not 1 <= recurring.get("interval_count", 1) <= _LONGEST[recurring["interval"]]:
        raise invalid(
            "Invalid recurring interval: the longest interval allowed is three years.", "recurring[interval_count]"
        )
    if given.get("lookup_key") and not given.get("transfer_lookup_key"):
        _check_lookup_key(call, given["lookup_key"])


def _check_lookup_key(call: Call, key: str) -> None:
    for other in call.world.store.where("price", "lookup_key", key):
        if other["livemode"] == call.livemode:
            raise invalid(f"A price (`{other['id']}`) already uses that lookup key.", "lookup_key")
