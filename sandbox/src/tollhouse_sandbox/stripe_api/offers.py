"""`discounts[]` as several endpoints take it: coupons and promotion codes to redeem."""

from tollhouse_sandbox.billing import discounts
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid, no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.params import TEXT, fields, list_of

NEW = list_of(fields(coupon=TEXT, promotion_code=TEXT))
NEW_OR_KEPT = list_of(fields(coupon=TEXT, discount=TEXT, promotion_code=TEXT))


def wanted(call: Call, given: list[Doc] | None, customer: str | None, amount: int, currency: str) -> list[Doc]:
    """The offers to redeem for a purchase of that amount. Raises Stripe's error for the first that cannot be."""
    offers = []
    for place, each in enumerate(given or []):
        name = f"discounts[{place}]"
        if not each or len(each) > 1:
            raise invalid("You must specify exactly one of coupon, discount or promotion_code.", name)
        if "discount" not in each:
            offers.append(_offer(call, each, name, customer, amount, currency))
    return offers


def kept(given: list[Doc] | None, present: list[str]) -> list[str]:
    """The present discounts that stay."""
    keys = [each["discount"] for each in given or [] if each and "discount" in each]
    for key in keys:
        if key not in present:
            raise no_such("discount", key, "discounts")
    return keys


def _offer(call: Call, each: Doc, name: str, customer: str | None, amount: int, currency: str) -> Doc:
    promotion = None
    if "promotion_code" in each:
        param = f"{name}[promotion_code]"
        promotion = call.find("promotion_code", each["promotion_code"], param)
        coupon = call.world.store.get("coupon", promotion["promotion"]["coupon"])
        if coupon is None:
            raise invalid("This promotion code cannot be redeemed because it is not active.", param)
    else:
        param = f"{name}[coupon]"
        coupon = call.find("coupon", each["coupon"], param)
    refused = discounts.refusal(call.world, coupon, promotion, customer, amount, currency)
    if refused:
        raise invalid(refused, param, None if coupon["valid"] else "coupon_expired")
    return discounts.offer(call.world, coupon, promotion)
