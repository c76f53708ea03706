"""Discounts: what a redeemed coupon takes off the invoices of a subscription, and for how long.

An offer is a coupon about to be redeemed, with its terms as they are now: `{"coupon", "products", "promotion_code"}`.
"""

from decimal import ROUND_HALF_UP, Decimal

from tollhouse_sandbox.billing import coupons
from tollhouse_sandbox.billing.periods import boundary
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World


def offer(world: World, coupon: Doc, promotion: Doc | None) -> Doc:
    """The coupon's terms, and the code by which it is redeemed."""
    return {
        "coupon": snapshot(coupon),
        "products": list(coupons.products_of(world, coupon)),
        "promotion_code": promotion["id"] if promotion else None,
    }


def refusal(
    world: World, coupon: Doc, promotion: Doc | None, customer: str | None, amount: int, currency: str
) -> str | None:
    """Why the customer cannot redeem it for a purchase of that amount, in Stripe's words; None when it can."""
    if not coupon["valid"]:
        return f"Coupon expired: {coupon['id']}"
    if coupon["currency"] not in (None, currency):
        return f"The coupon's currency ({coupon['currency']}) does not match that of the purchase ({currency})."
    if promotion is None:
        return None
    restrictions = promotion["restrictions"]
    because = "This promotion code cannot be redeemed because"
    if not promotion["active"]:
        return f"{because} it is not active."
    if promotion["customer"] not in (None, customer):
        return f"{because} it is for another customer."
    if restrictions["first_time_transaction"] and customer and _has_paid(world, customer):
        return f"{because} the associated customer has prior transactions."
    minimum = restrictions["minimum_amount"]
    if minimum is not None and (restrictions["minimum_amount_currency"] != currency or amount < minimum):
        return f"{because} the associated purchase does not meet the minimum amount requirement."
    return None


def attach(world: World, subscription: Doc, wanted: Doc) -> None:
    """Redeems the offer for the subscription, whose invoices it makes cheaper from now on."""
    now = world.clock.now()
    coupon = wanted["coupon"]
    repeats = coupon["duration"] == "repeating"
    discount: Doc = {
        "id": new_id("di"),
        "object": "discount",
        "checkout_session": None,
        "customer": subscription["customer"],
        "customer_account": None,
        "end": boundary(now, "month", 1, coupon["duration_in_months"]) if repeats else None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": wanted["promotion_code"],
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": now,
        "subscription": subscription["id"],
        "subscription_item": None,
    }
    world.keep_private(discount["id"], offer=wanted)
    world.store.put("discount", discount)
    subscription["discounts"].append(discount["id"])
    coupons.redeem(world, coupon["id"], wanted["promotion_code"])
    world.emit("customer.discount.created", discount, livemode=subscription["livemode"])
    plan_end(world, discount)


def detach(world: World, subscription: Doc, key: str) -> Doc | None:
    """Takes the discount off the subscription; whoever calls tells that the subscription has changed."""
    subscription["discounts"].remove(key)
    discount = world.store.get("discount", key)
    if discount:
        world.emit("customer.discount.deleted", discount, livemode=subscription["livemode"])
    return discount


def plan_end(world: World, discount: Doc) -> None:
    """Puts the end of a discount that lasts for some months on the agenda."""
    if discount["end"] is not None:
        world.plan_for(discount["end"], "discount", discount["id"])


def expire(world: World, discount: Doc) -> None:
    """Its months are over."""
    subscription = world.store.get("subscription", discount["subscription"])
    if subscription and discount["id"] in subscription["discounts"]:
        before = snapshot(subscription)
        detach(world, subscription, discount["id"])
        world.emit_change("customer.subscription.updated", subscription, before)


def use_up(world: World, subscription: Doc, invoice: Doc) -> None:
    """Takes off what is given once and has just made this invoice cheaper."""
    for used in invoice["total_discount_amounts"]:
        once = _offer_of(world, used["discount"])["coupon"]["duration"] == "once"
        if once and used["amount"] and used["discount"] in subscription["discounts"]:
            detach(world, subscription, used["discount"])


def apply(world: World, subscription: Doc, lines: list[Doc]) -> list[Doc]:
    """Writes on each line what the subscription's discounts take off; answers the sum of each discount."""
    cheaper = [line for line in lines if line["discountable"]]
    keys = _active(world, subscription) if cheaper else []
    parts = [(line["pricing"]["price_details"]["product"], line["amount"]) for line in cheaper]
    taken = shares([_offer_of(world, key) for key in keys], parts)
    for place, line in enumerate(cheaper):
        amounts = [{"amount": off[place], "discount": key} for key, off in zip(keys, taken, strict=True)]
        line["discount_amounts"] = amounts
        line["pretax_credit_amounts"] = credits_of(amounts)
    return [{"amount": sum(off), "discount": key} for key, off in zip(keys, taken, strict=True)]


def credits_of(amounts: list[Doc]) -> list[Doc]:
    """The same amounts as Stripe shows them among everything that is taken off before tax."""
    return [{**amount, "type": "discount"} for amount in amounts]


def lasting(world: World, subscription: Doc, items: list[Doc], wholes: list[int]) -> tuple[list[str], list[int]]:
    """The discounts that go on after one invoice, and what each item costs for a whole period with them."""
    keys = [key for key in _active(world, subscription) if _offer_of(world, key)["coupon"]["duration"] != "once"]
    parts = [(item["price"]["product"], whole) for item, whole in zip(items, wholes, strict=True)]
    taken = shares([_offer_of(world, key) for key in keys], parts)
    return keys, [whole - sum(off[place] for off in taken) for place, whole in enumerate(wholes)]


def shares(offers: list[Doc], parts: list[tuple[str, int]]) -> list[list[int]]:
    """What each offer takes off each part (its product and amount), one offer after the other on what is left."""
    left = [amount for _, amount in parts]
    taken = []
    for each in offers:
        products = each["products"]
        eligible = [
            amount if not products or product in products else 0
            for (product, _), amount in zip(parts, left, strict=True)
        ]
        off = _split(_off(each["coupon"], sum(eligible)), eligible)
        left = [amount - share for amount, share in zip(left, off, strict=True)]
        taken.append(off)
    return taken


def _off(coupon: Doc, total: int) -> int:
    if coupon["percent_off"] is None:
        return min(int(coupon["amount_off"]), total)
    exact = Decimal(str(coupon["percent_off"])) * total / 100
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def _split(off: int, parts: list[int]) -> list[int]:
    """In proportion to the parts; the shares add up to the whole, and none is more than its part."""
    total, seen, given = sum(parts), 0, 0
    split = []
    for part in parts:
        seen += part
        share = off * seen // total - given if total else 0
        given += share
        split.append(share)
    return split


def _active(world: World, subscription: Doc) -> list[str]:
    now = world.clock.now()
    found = [world.store.get("discount", key) for key in subscription["discounts"]]
    return [each["id"] for each in found if each and (each["end"] is None or each["end"] > now)]


def _offer_of(world: World, key: str) -> Doc:
    wanted: Doc = world.private(key)["offer"]
    return wanted


def _has_paid(world: World, customer: str) -> bool:
    store = world.store
    paid = any(charge["paid"] for charge in store.where("charge", "customer", customer))
    return paid or any(invoice["amount_paid"] > 0 for invoice in store.where("invoice", "customer", customer))
