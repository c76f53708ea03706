"""Products and prices, with the old `plan` that Stripe still keeps beside every recurring price."""

from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World


def create_product(
    world: World, *, livemode: bool, name: str, key: str | None = None, silent: bool = False, **given: object
) -> Doc:
    """A product; `given` are further fields of Stripe's object. No event tells of a silent one."""
    now = world.clock.now()
    product: Doc = {
        "id": key or new_id("prod", 14),
        "object": "product",
        "active": True,
        "created": now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": livemode,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": now,
        "url": None,
        **given,
    }
    world.store.put("product", product)
    if not silent:
        world.emit("product.created", product)
    return product


def create_price(
    world: World,
    product: Doc,
    *,
    currency: str,
    unit_amount: int | None = None,
    unit_amount_decimal: str | None = None,
    recurring: Doc | None = None,
    silent: bool = False,
    **given: object,
) -> Doc:
    """A price of the product. `recurring`: interval and interval_count; None sells once. No event tells of a silent one."""
    if unit_amount is None and unit_amount_decimal is not None and float(unit_amount_decimal).is_integer():
        unit_amount = int(float(unit_amount_decimal))
    price: Doc = {
        "id": new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": world.clock.now(),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": product["livemode"],
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product["id"],
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": unit_amount_decimal or str(unit_amount),
        **given,
    }
    if recurring:
        price["recurring"] = {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": recurring.get("trial_period_days"),
            "usage_type": "licensed",
        }
    world.store.put("price", price)
    if recurring:
        world.emit("plan.created", keep_plan(world, price))
    if not silent:
        world.emit("price.created", price)
    return price


def unlisted_price(world: World, currency: str, unit_amount_decimal: str, *, livemode: bool) -> Doc:
    """The inactive price, of an inactive product, that stands behind an amount billed without a price."""
    product = create_product(world, livemode=livemode, name="Invoice item", active=False, silent=True)
    return create_price(
        world, product, currency=currency, unit_amount_decimal=unit_amount_decimal, active=False, silent=True
    )


def keep_plan(world: World, price: Doc) -> Doc:
    """Brings the price's `plan` up to date, in place, because subscription items show that very document."""
    recurring = price["recurring"]
    plan = world.store.get("plan", price["id"]) or {}
    plan.update(
        {
            "id": price["id"],
            "object": "plan",
            "active": price["active"],
            "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"],
            "billing_scheme": "per_unit",
            "created": price["created"],
            "currency": price["currency"],
            "interval": recurring["interval"],
            "interval_count": recurring["interval_count"],
            "livemode": price["livemode"],
            "metadata": dict(price["metadata"]),
            "meter": None,
            "nickname": price["nickname"],
            "product": price["product"],
            "tiers_mode": None,
            "transform_usage": None,
            "trial_period_days": recurring["trial_period_days"],
            "usage_type": "licensed",
        }
    )
    return world.store.put("plan", plan)


def release_lookup_key(world: World, key: str, *, livemode: bool) -> None:
    """Takes the lookup key from the price that has it."""
    for price in world.store.where("price", "lookup_key", key):
        if price["livemode"] == livemode:
            before = snapshot(price)
            price["lookup_key"] = None
            world.emit_change("price.updated", price, before)
