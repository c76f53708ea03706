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
    now = world.store.clock.now_ms()
    async with world.store.transaction() as tx:
        await ledger.take_in_transaction(tx, world.catalog, customer, {"credits": credits * 1000}, "launch", now)


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
