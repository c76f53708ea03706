"""What customers and merchants do in many stories."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from tests.billing.world import CATALOG, World
from tollhouse.billing import actions
from tollhouse.catalog.model import Catalog, Grant
from tollhouse.ledger import actions as ledger


async def spend(world: World, customer: str, credits: int) -> None:
    """The customer uses credits."""
    await spend_on(world, customer, {"credits": credits * 1000})


async def spend_on(world: World, customer: str, cost: Mapping[str, int]) -> None:
    """The customer uses of these meters, in scaled amounts."""
    now = world.store.clock.now_ms()
    async with world.store.transaction() as tx:
        await ledger.take_in_transaction(tx, world.catalog, customer, cost, "launch", now)


async def subscribe_by_staff(world: World, customer: str, plan: str, amount: int, currency: str) -> None:
    """A plan without a price is sold in Stripe's dashboard: a product of its own, which the catalogue then names."""
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, customer)
    await actions.open_portal(world.till, payer)  # makes the customer at Stripe
    stripe_id = await stripe_id_of(world, customer)
    card = await world.stripe("post", "/v1/payment_methods/pm_card_visa/attach", customer=stripe_id)
    product = (await world.stripe("post", "/v1/products", name=plan))["id"]
    price = await world.stripe(
        "post", "/v1/prices", product=product, unit_amount=amount, currency=currency, recurring={"interval": "month"}
    )
    sold = replace(world.catalog.plans[plan], stripe_products=(product,))
    world.catalog = replace(world.catalog, plans={**world.catalog.plans, plan: sold})
    await world.stripe(
        "post", "/v1/subscriptions", customer=stripe_id, items=[{"price": price["id"]}],
        default_payment_method=card["id"],
    )  # fmt: skip


async def stripe_id_of(world: World, customer: str) -> str:
    async with world.store.reading() as tx:
        link = await actions.link_of_customer(tx, customer)
    assert link is not None
    return link.id


async def subscription_id_of(world: World, customer: str) -> str:
    async with world.store.reading() as tx:
        found = await actions.subscription_of(tx, customer)
    assert found is not None
    return found.id


async def move_to(world: World, customer: str, plan: str, **more: object) -> None:
    """The subscription goes over to the plan's price in dollars at once, and the difference is invoiced."""
    subscription = await subscription_id_of(world, customer)
    price = await world.gateway.price_of_key(f"tollhouse_{plan}_month_usd")
    assert price is not None
    item = (await world.stripe("get", f"/v1/subscriptions/{subscription}"))["items"]["data"][0]["id"]
    await world.stripe(
        "post", f"/v1/subscriptions/{subscription}", items=[{"id": item, "price": price.id}],
        **{"proration_behavior": "always_invoice", **more},
    )  # fmt: skip


async def pay_open_invoice(world: World, customer: str) -> None:
    """The customer brings a card that works, and what is owed is paid."""
    stripe_id = await stripe_id_of(world, customer)
    card = await world.stripe("post", "/v1/payment_methods/pm_card_visa/attach", customer=stripe_id)
    invoices = await world.stripe("get", "/v1/invoices", customer=stripe_id, status="open")
    await world.stripe("post", f"/v1/invoices/{invoices['data'][0]['id']}/pay", payment_method=card["id"])


def catalog_granting(grants: Mapping[str, Grant]) -> Catalog:
    """The catalogue with other grants in these plans."""
    changed = {plan: replace(CATALOG.plans[plan], grants=(grant,)) for plan, grant in grants.items()}
    return replace(CATALOG, plans={**CATALOG.plans, **changed})
