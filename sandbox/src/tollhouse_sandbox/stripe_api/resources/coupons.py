"""`/v1/coupons`."""

from tollhouse_sandbox.billing import coupons
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import invalid, missing
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    CLEARABLE_TEXT,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    NUMBER,
    PAGE,
    TEXT,
    TEXTS,
    Spec,
    fields,
    one_of,
)

_CREATE: Spec = {
    "amount_off": INTEGER,
    "applies_to": fields(products=TEXTS),
    "currency": TEXT,
    "duration": one_of("forever", "once", "repeating"),
    "duration_in_months": INTEGER,
    "id": TEXT,
    "max_redemptions": INTEGER,
    "metadata": METADATA,
    "name": TEXT,
    "percent_off": NUMBER,
    "redeem_by": INTEGER,
}
_UPDATE: Spec = {"metadata": METADATA, "name": CLEARABLE_TEXT}
_LIST: Spec = {**PAGE, "created": MOMENT_RANGE}


def create(call: Call) -> Doc:
    """A new coupon: a percentage or an amount off, once, for some months, or for ever."""
    given = call.read(_CREATE)
    _check(call, given)
    key = given.pop("id", None)
    if key and call.world.store.get("coupon", key):
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    products = (given.pop("applies_to", None) or {}).get("products") or []
    for place, product in enumerate(products):
        call.find("product", product, f"applies_to[products][{place}]")
    given["metadata"] = merged_metadata({}, given.get("metadata", {}))
    return coupons.create(call.world, livemode=call.livemode, key=key, products=products, **given)


def retrieve(call: Call) -> Doc:
    """A coupon."""
    return call.find("coupon", call.ids[0], "id")


def update(call: Call) -> Doc:
    """Changes name and metadata; what a coupon takes off never changes."""
    coupon = call.find("coupon", call.ids[0])
    given = call.read(_UPDATE)
    before = snapshot(coupon)
    if "metadata" in given:
        given["metadata"] = merged_metadata(coupon["metadata"], given["metadata"])
    coupon.update(given)
    call.world.emit_change("coupon.updated", coupon, before)
    return coupon


def delete(call: Call) -> Doc:
    """Ends the coupon; who has it keeps it."""
    coupon = call.find("coupon", call.ids[0])
    coupons.delete(call.world, coupon)
    return {"id": coupon["id"], "object": "coupon", "deleted": True}


def list_(call: Call) -> Doc:
    """Newest first."""
    asked = call.read(_LIST)
    rows = (row for row in call.world.store.newest("coupon") if created_within(asked.get("created"), row["created"]))
    return page(call, "coupon", rows, asked)


def _check(call: Call, given: Doc) -> None:
    percent, amount = given.get("percent_off"), given.get("amount_off")
    if percent is None and amount is None:
        raise missing("percent_off")
    if percent is not None and amount is not None:
        raise invalid("You may only specify one of these parameters: amount_off, percent_off.", "amount_off")
    if percent is not None and not 0 < percent <= 100:
        raise invalid("Invalid percent_off: must be greater than 0 and at most 100.", "percent_off")
    if amount is not None and amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount_off")
    if amount is not None and "currency" not in given:
        raise missing("currency")
    if amount is None:
        given.pop("currency", None)
    else:
        given["currency"] = _currency(given["currency"])
    _check_limits(call, given)


def _check_limits(call: Call, given: Doc) -> None:
    months = given.get("duration_in_months")
    if given.get("duration") == "repeating" and months is None:
        raise missing("duration_in_months")
    if months is not None and given.get("duration") != "repeating":
        raise invalid("You may only specify duration_in_months if duration is repeating.", "duration_in_months")
    if months is not None and not 1 <= months <= 1200:
        raise invalid("Invalid duration_in_months: must be between 1 and 1200.", "duration_in_months")
    if given.get("max_redemptions", 1) < 1:
        raise invalid("This value must be greater than or equal to 1.", "max_redemptions")
    if "redeem_by" in given and given["redeem_by"] <= call.world.clock.now():
        raise invalid("redeem_by must be in the future.", "redeem_by")


def _currency(text: str) -> str:
    currency = text.lower()
    if len(currency) != 3 or not currency.isalpha():
        raise invalid(f"Invalid currency: {currency}.", "currency")
    return currency
