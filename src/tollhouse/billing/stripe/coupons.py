"""Coupons by which quotes are applied. Calls of the gateway's, over the network; made again they make nothing twice."""

from urllib.parse import quote

from tollhouse.billing.stripe import wire
from tollhouse.billing.stripe.gateway import StripeGateway
from tollhouse.kernel.errors import InvalidRequest, NotFound

EXISTS = "stripe_resource_already_exists"


async def ensure_coupon(
    gateway: StripeGateway, coupon: str, name: str, product: str, *, percent_hundredths: int | None,
    amount_minor: int | None, currency: str, duration: str, months: int | None,
) -> None:  # fmt: skip
    """A coupon of this id, for one product alone; what exists stays as it is."""
    try:
        await gateway._call("get", f"/v1/coupons/{quote(coupon, safe='')}", {}, wire.Named)
    except NotFound:
        params: dict[str, object] = {"id": coupon, "name": name, "duration": duration}
        params["applies_to"] = {"products": [product]}
        if percent_hundredths is not None:
            whole, part = divmod(percent_hundredths, 100)
            params["percent_off"] = f"{whole}.{part:02}"
        else:
            params |= {"amount_off": amount_minor, "currency": currency}
        if months is not None:
            params["duration_in_months"] = months
        try:
            await gateway._call("post", "/v1/coupons", params, wire.Named)
        except InvalidRequest as error:
            if error.code != EXISTS:  # somebody else has just made it
                raise


async def delete_coupon(gateway: StripeGateway, coupon: str) -> None:
    """Nobody redeems it any more; who has it keeps it. One that is gone is well."""
    try:
        await gateway._call("delete", f"/v1/coupons/{quote(coupon, safe='')}", {}, wire.Named)
    except NotFound:
        return
