"""`/v1/promotion_codes`."""

import re

from tollhouse_sandbox.billing import coupons
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import invalid, missing
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    Spec,
    fields,
    one_of,
    required,
)

_CREATE: Spec = {
    "active": BOOLEAN,
    "code": TEXT,
    "customer": TEXT,
    "expires_at": INTEGER,
    "max_redemptions": INTEGER,
    "metadata": METADATA,
    "promotion": required(fields(coupon=required(TEXT), type=required(one_of("coupon")))),
    "restrictions": fields(first_time_transaction=BOOLEAN, minimum_amount=INTEGER, minimum_amount_currency=TEXT),
}
_UPDATE: Spec = {"active": BOOLEAN, "metadata": METADATA}
_LIST: Spec = {
    **PAGE,
    "active": BOOLEAN,
    "code": TEXT,
    "coupon": TEXT,
    "created": MOMENT_RANGE,
    "customer": TEXT,
}
_CODE = re.compile(r"[A-Za-z0-9-]{1,500}")


def create(call: Call) -> Doc:
    """A new code for a coupon; one is made up unless it is given."""
    given = call.read(_CREATE)
    promotion = given.pop("promotion") or {}
    if "coupon" not in promotion:
        raise missing("promotion[coupon]")
    coupon = call.find("coupon", promotion["coupon"], "promotion[coupon]")
    _check(call, given, coupon)
    given["restrictions"] = _restrictions(given.get("restrictions") or {})
    given["metadata"] = merged_metadata({}, given.get("metadata", {}))
    return coupons.create_code(call.world, coupon, **{"code": None, **given})


def retrieve(call: Call) -> Doc:
    """A promotion code."""
    return call.find("promotion_code", call.ids[0])


def update(call: Call) -> Doc:
    """Switches the code on or off, merges metadata."""
    code = call.find("promotion_code", call.ids[0])
    given = call.read(_UPDATE)
    if given.get("active") and not code["active"]:
        if not coupons.code_may_be_active(call.world, code):
            raise invalid("This promotion code cannot be activated: it has expired or been used up.", "active")
        _check_free(call, code["code"], code["customer"])
    before = snapshot(code)
    if "metadata" in given:
        given["metadata"] = merged_metadata(code["metadata"], given["metadata"])
    code.update(given)
    call.world.emit_change("promotion_code.updated", code, before)
    coupons.plan_end_of_code(call.world, code)
    return code


def list_(call: Call) -> Doc:
    """Newest first, by code (whatever its case), coupon, customer and activity."""
    asked = call.read(_LIST)
    code = asked.get("code")
    rows = (
        row
        for row in call.world.store.newest("promotion_code")
        if (code is None or row["code"].upper() == code.upper())
        and asked.get("active") in (None, row["active"])
        and asked.get("coupon") in (None, row["promotion"]["coupon"])
        and asked.get("customer") in (None, row["customer"])
        and created_within(asked.get("created"), row["created"])
    )
    return page(call, "promotion_code", rows, asked)


def _check(call: Call, given: Doc, coupon: Doc) -> None:
    if not coupon["valid"]:
        raise invalid(f"Coupon expired: {coupon['id']}", "promotion[coupon]", "coupon_expired")
    if "customer" in given:
        call.find("customer", given["customer"], "customer")
    if "code" in given:
        if not _CODE.fullmatch(given["code"]):
            raise invalid("Promotion codes can only contain letters, digits and dashes.", "code")
        _check_free(call, given["code"], given.get("customer"))
    if given.get("max_redemptions", 1) < 1:
        raise invalid("This value must be greater than or equal to 1.", "max_redemptions")
    if coupon["max_redemptions"] is not None and given.get("max_redemptions", 1) > coupon["max_redemptions"]:
        raise invalid("max_redemptions cannot be greater than that of the coupon.", "max_redemptions")
    expires = given.get("expires_at")
    if expires is not None and expires <= call.world.clock.now():
        raise invalid("expires_at must be in the future.", "expires_at")
    if expires is not None and coupon["redeem_by"] is not None and expires > coupon["redeem_by"]:
        raise invalid("expires_at cannot be later than the coupon's redeem_by.", "expires_at")


def _check_free(call: Call, code: str, customer: str | None) -> None:
    """Two active codes of one text would leave open which coupon it means."""
    if coupons.active_code(call.world, code, livemode=call.livemode, customer=customer):
        raise invalid(
            f"An active promotion code with `code: {code}` already exists.", "code", "resource_already_exists"
        )


def _restrictions(given: Doc) -> Doc:
    minimum, currency = given.get("minimum_amount"), given.get("minimum_amount_currency")
    if minimum is not None and minimum < 1:
        raise invalid("This value must be greater than or equal to 1.", "restrictions[minimum_amount]")
    if (minimum is None) != (currency is None):
        name = "minimum_amount" if minimum is None else "minimum_amount_currency"
        raise missing(f"restrictions[{name}]")
    return {
        "first_time_transaction": given.get("first_time_transaction", False),
        "minimum_amount": minimum,
        "minimum_amount_currency": currency.lower() if currency else None,
    }
