"""Coupons, the codes by which customers redeem them, and how long both can be redeemed."""

from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.world import World


def create(world: World, *, livemode: bool, key: str | None, products: list[str], **given: object) -> Doc:
    """A coupon for these products, or for everything; `given` are fields of Stripe's object."""
    coupon: Doc = {
        "id": key or random_text(8),
        "object": "coupon",
        "amount_off": None,
        "created": world.clock.now(),
        "currency": None,
        "duration": "once",
        "duration_in_months": None,
        "livemode": livemode,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
        **given,
    }
    world.keep_private(_private_key(coupon), products=products)
    world.store.put("coupon", coupon)
    world.emit("coupon.created", coupon)
    plan_end(world, coupon)
    return coupon


def delete(world: World, coupon: Doc) -> None:
    """Nobody can redeem it any more; discounts that it has given go on."""
    world.store.delete("coupon", coupon["id"])
    _settle_codes(world, coupon)
    world.emit("coupon.deleted", coupon)


def products_of(world: World, coupon: Doc) -> list[str]:
    """The only products that it makes cheaper; none means all."""
    products: list[str] = world.private(_private_key(coupon)).get("products", [])
    return products


def create_code(world: World, coupon: Doc, *, code: str | None, **given: object) -> Doc:
    """A code that a customer can type to redeem the coupon; `given` are fields of Stripe's object."""
    promotion: Doc = {
        "id": new_id("promo"),
        "object": "promotion_code",
        "active": True,
        "code": code or random_text(8).upper(),
        "created": world.clock.now(),
        "customer": None,
        "customer_account": None,
        "expires_at": None,
        "livemode": coupon["livemode"],
        "max_redemptions": None,
        "metadata": {},
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        "times_redeemed": 0,
        **given,
    }
    world.store.put("promotion_code", promotion)
    world.emit("promotion_code.created", promotion)
    plan_end_of_code(world, promotion)
    return promotion


def active_code(world: World, text: str, *, livemode: bool, customer: str | None) -> Doc | None:
    """The code that such a text redeems for the customer now, whatever its case."""
    for promotion in world.store.newest("promotion_code"):
        if (
            promotion["active"]
            and promotion["code"].upper() == text.upper()
            and promotion["livemode"] == livemode
            and promotion["customer"] in (None, customer)
        ):
            return promotion
    return None


def redeem(world: World, coupon_key: str, promotion_key: str | None) -> None:
    """Counts one redemption, unless they have been deleted; the last one that is allowed ends coupon or code."""
    promotion = world.store.get("promotion_code", promotion_key or "")
    if promotion:
        settle_code(world, promotion, redemptions=1)
    coupon = world.store.get("coupon", coupon_key)
    if coupon:
        settle(world, coupon, redemptions=1)


def settle(world: World, coupon: Doc, *, redemptions: int = 0) -> None:
    """Counts further redemptions, and brings `valid` in line with them and with the time."""
    before = snapshot(coupon)
    coupon["times_redeemed"] += redemptions
    expired = coupon["redeem_by"] is not None and coupon["redeem_by"] <= world.clock.now()
    most = coupon["max_redemptions"]
    coupon["valid"] = not expired and (most is None or coupon["times_redeemed"] < most)
    world.emit_change("coupon.updated", coupon, before)
    if not coupon["valid"]:
        _settle_codes(world, coupon)


def settle_code(world: World, promotion: Doc, *, redemptions: int = 0) -> None:
    """Counts further redemptions, and ends a code whose time, redemptions or coupon are over."""
    before = snapshot(promotion)
    promotion["times_redeemed"] += redemptions
    promotion["active"] = promotion["active"] and code_may_be_active(world, promotion)
    world.emit_change("promotion_code.updated", promotion, before)


def code_may_be_active(world: World, promotion: Doc) -> bool:
    """Whether neither the code nor its coupon is over."""
    coupon = world.store.get("coupon", promotion["promotion"]["coupon"])
    expired = promotion["expires_at"] is not None and promotion["expires_at"] <= world.clock.now()
    most = promotion["max_redemptions"]
    used_up = most is not None and promotion["times_redeemed"] >= most
    return coupon is not None and coupon["valid"] and not expired and not used_up


def plan_end(world: World, coupon: Doc) -> None:
    """Puts the coupon's last day on the agenda."""
    if coupon["redeem_by"] is not None and coupon["valid"]:
        world.plan_for(coupon["redeem_by"], "coupon", coupon["id"])


def plan_end_of_code(world: World, promotion: Doc) -> None:
    """Puts the code's last day on the agenda."""
    if promotion["expires_at"] is not None and promotion["active"]:
        world.plan_for(promotion["expires_at"], "promotion_code", promotion["id"])


def _settle_codes(world: World, coupon: Doc) -> None:
    for promotion in world.store.where("promotion_code", "coupon_id", coupon["id"]):
        settle_code(world, promotion)


def _private_key(coupon: Doc) -> str:
    """A coupon's id is chosen by its maker, so it could be that of something else."""
    return f"coupon:{coupon['id']}"
