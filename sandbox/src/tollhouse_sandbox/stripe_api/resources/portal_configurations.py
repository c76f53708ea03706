"""`/v1/billing_portal/configurations`."""

from tollhouse_sandbox.billing import portal_configurations as configurations
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import invalid, no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    INTEGER,
    METADATA,
    PAGE,
    TEXT,
    TEXTS,
    Param,
    Spec,
    fields,
    list_of,
    one_of,
    required,
)

_ENABLED = required(BOOLEAN)
_PRORATION = one_of("always_invoice", "create_prorations", "none")


def _features(enabled: Param) -> Param:
    """`enabled` must be said of every feature that is named at creation; later it may be left as it is."""
    product = fields(
        adjustable_quantity=fields(enabled=BOOLEAN, maximum=INTEGER, minimum=INTEGER),
        prices=required(TEXTS),
        product=required(TEXT),
    )
    interval = fields(interval=one_of("day", "week", "month", "year"), interval_count=INTEGER)
    return fields(
        customer_update=fields(allowed_updates=TEXTS, enabled=enabled),
        invoice_history=fields(enabled=enabled),
        payment_method_update=fields(enabled=enabled, payment_method_configuration=CLEARABLE_TEXT),
        subscription_cancel=fields(
            cancellation_reason=fields(
                enabled=enabled,
                feedback_options=TEXTS,
                options=list_of(one_of(*configurations.CANCELLATION_REASONS)),
            ),
            enabled=enabled,
            mode=one_of("at_period_end", "immediately"),
            proration_behavior=_PRORATION,
        ),
        subscription_pause=fields(
            duration=fields(interval_options=list_of(interval), type=one_of("indefinite", "interval_options")),
            enabled=BOOLEAN,
        ),
        subscription_update=fields(
            billing_cycle_anchor=one_of("now", "unchanged"),
            default_allowed_updates=list_of(one_of("price", "promotion_code", "quantity")),
            enabled=enabled,
            products=list_of(product),
            proration_behavior=_PRORATION,
            schedule_at_period_end=fields(
                conditions=list_of(fields(type=required(one_of("decreasing_item_amount", "shortening_interval"))))
            ),
            trial_update_behavior=one_of("continue_trial", "end_trial"),
        ),
    )


_BOTH: Spec = {
    "business_profile": fields(headline=CLEARABLE_TEXT, privacy_policy_url=TEXT, terms_of_service_url=TEXT),
    "default_return_url": CLEARABLE_TEXT,
    "metadata": METADATA,
    "name": CLEARABLE_TEXT,
}
_CREATE: Spec = {**_BOTH, "features": required(_features(_ENABLED))}
_UPDATE: Spec = {**_BOTH, "active": BOOLEAN, "features": _features(BOOLEAN)}
_LIST: Spec = {**PAGE, "active": BOOLEAN, "is_default": BOOLEAN}


def create(call: Call) -> Doc:
    """A configuration in which only what is named is on."""
    given = call.read(_CREATE)
    features = given.pop("features") or {}
    _check_products(call, features)
    configuration = configurations.create(call.world, livemode=call.livemode, features=features)
    _set(call, configuration, given)
    call.world.store.put(configurations.KIND, configuration)
    call.world.emit("billing_portal.configuration.created", configuration)
    return _shown(call, configuration)


def retrieve(call: Call) -> Doc:
    """A configuration."""
    return _shown(call, call.find(configurations.KIND, call.ids[0]))


def update(call: Call) -> Doc:
    """Changes what is named; portals that are open follow it at once."""
    configuration = call.find(configurations.KIND, call.ids[0])
    given = call.read(_UPDATE)
    if given.get("active") is False and configuration["is_default"]:
        raise invalid("You cannot deactivate the default configuration.", "active")
    features = given.pop("features", None) or {}
    _check_products(call, features)
    before = snapshot(configuration)
    configuration["features"] = configurations.merged(configuration["features"], features)
    _set(call, configuration, given)
    configuration["updated"] = call.world.clock.now()
    call.world.emit_change("billing_portal.configuration.updated", configuration, before)
    return _shown(call, configuration)


def list_(call: Call) -> Doc:
    """Newest first; there is always the default one."""
    asked = call.read(_LIST)
    configurations.default(call.world, livemode=call.livemode)
    rows = (
        row
        for row in call.world.store.newest(configurations.KIND)
        if all(row[name] == asked[name] for name in ("active", "is_default") if name in asked)
    )
    found = page(call, configurations.KIND, rows, asked)
    return {**found, "data": [_shown(call, row) for row in found["data"]]}


def _shown(call: Call, configuration: Doc) -> Doc:
    """As the API answers it: the products are there only when they are asked for by `expand`."""
    if any(path.endswith("features.subscription_update.products") for path in call.expand):
        return configuration
    features = configuration["features"]
    update = {name: value for name, value in features["subscription_update"].items() if name != "products"}
    return {**configuration, "features": {**features, "subscription_update": update}}


def _set(call: Call, configuration: Doc, given: Doc) -> None:
    if "metadata" in given:
        configuration["metadata"] = merged_metadata(configuration["metadata"], given.pop("metadata"))
    configuration["business_profile"].update(given.pop("business_profile", None) or {})
    configuration.update(given)


def _check_products(call: Call, features: Doc) -> None:
    for place, product in enumerate((features.get("subscription_update") or {}).get("products") or ()):
        name = f"features[subscription_update][products][{place}]"
        call.find("product", product["product"], f"{name}[product]")
        for number, key in enumerate(product["prices"] or ()):
            price = call.find("price", key, f"{name}[prices][{number}]")
            if price["product"] != product["product"]:
                raise no_such("price", key, f"{name}[prices][{number}]")
            if not price["recurring"]:
                raise invalid(
                    f"The price `{key}` is not recurring. The portal only changes subscriptions to recurring prices.",
                    f"{name}[prices][{number}]",
                )
        product.setdefault("adjustable_quantity", None)
        product["adjustable_quantity"] = {
            "enabled": False,
            "maximum": None,
            "minimum": 1,
            **(product["adjustable_quantity"] or {}),
        }
