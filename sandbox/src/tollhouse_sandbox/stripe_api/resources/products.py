"""`/v1/products`."""

from tollhouse_sandbox.billing import catalog
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import StripeError, invalid
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    TEXTS,
    Spec,
    fields,
    list_of,
    one_of,
    required,
)
from tollhouse_sandbox.stripe_api.resources import prices

_WRITE: Spec = {
    "active": BOOLEAN,
    "description": CLEARABLE_TEXT,
    "images": TEXTS,
    "marketing_features": list_of(fields(name=required(TEXT))),
    "metadata": METADATA,
    "name": TEXT,
    "shippable": BOOLEAN,
    "statement_descriptor": CLEARABLE_TEXT,
    "tax_code": CLEARABLE_TEXT,
    "unit_label": CLEARABLE_TEXT,
    "url": CLEARABLE_TEXT,
}
_CREATE: Spec = {
    **_WRITE,
    "name": required(TEXT),
    "id": TEXT,
    "type": one_of("good", "service"),
    "default_price_data": fields(**{k: v for k, v in prices.CREATE.items() if k not in ("product", "product_data")}),
}
_UPDATE: Spec = {**_WRITE, "default_price": CLEARABLE_TEXT}
_LIST: Spec = {**PAGE, "active": BOOLEAN, "ids": TEXTS, "url": TEXT, "created": MOMENT_RANGE}


def create(call: Call) -> Doc:
    """A new product, with its default price when that is given."""
    given = call.read(_CREATE)
    key = given.pop("id", None)
    if key and call.world.store.get("product", key):
        raise invalid("Product already exists.", "id", "resource_already_exists")
    price_data = given.pop("default_price_data", None)
    given["metadata"] = merged_metadata({}, given.get("metadata", {}))
    product = catalog.create_product(call.world, livemode=call.livemode, key=key, **_lists(given))
    if price_data:
        product["default_price"] = prices.create_from(call, product, price_data)["id"]
        call.world.store.put("product", product)
    return product


def retrieve(call: Call) -> Doc:
    """A product."""
    return call.find("product", call.ids[0])


def update(call: Call) -> Doc:
    """Changes the fields given; metadata is merged."""
    product = call.find("product", call.ids[0])
    given = call.read(_UPDATE)
    if given.get("default_price"):
        call.find("price", given["default_price"], "default_price")
    before = snapshot(product)
    if "metadata" in given:
        given["metadata"] = merged_metadata(product["metadata"], given["metadata"])
    product.update(_lists(given))
    if product != before:
        product["updated"] = call.world.clock.now()
    call.world.emit_change("product.updated", product, before)
    return product


def delete(call: Call) -> Doc:
    """Deletes a product that has no prices."""
    product = call.find("product", call.ids[0])
    if call.world.store.where("price", "product", product["id"]):
        raise StripeError(400, "This product cannot be deleted because it has one or more user-created prices.")
    call.world.store.delete("product", product["id"])
    call.world.emit("product.deleted", product)
    return {"id": product["id"], "object": "product", "deleted": True}


def list_(call: Call) -> Doc:
    """Newest first, by activity and ids."""
    asked = call.read(_LIST)
    rows = (
        row
        for row in call.world.store.newest("product")
        if asked.get("active") in (None, row["active"])
        and asked.get("url") in (None, row["url"])
        and (not asked.get("ids") or row["id"] in asked["ids"])
        and created_within(asked.get("created"), row["created"])
    )
    return page(call, "product", rows, asked)


def _lists(given: Doc) -> Doc:
    for name in ("images", "marketing_features"):
        if name in given:
            given[name] = given[name] or []
    return given
