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


async def stripe_id_of(world: World, customer: str) -> str:
    """The customer's id at Stripe, where it has been made."""
    async with world.store.reading() as tx:
        link = await actions.link_of_customer(tx, customer)
    assert link is not None
    return link.id


async def subscription_id_of(world: World, customer: str) -> str:
    async with world.store.reading() as tx:
        found = await actions.subscription_of(tx, customer)
    assert found is not None
    return found.id


async def attach(world: World, stripe_id: str, card: str = "pm_card_visa") -> str:
    """A card of the customer's, by default one that pays. Its id."""
    return str((await world.stripe("post", f"/v1/payment_methods/{card}/attach", customer=stripe_id))["id"])


async def at_stripe(world: World, customer: str) -> str:
    """A customer who is at Stripe with a card that is charged, and has bought nothing yet. Its id there."""
    await actions.open_portal(world.till, await world.payer(customer))
    stripe_id = await stripe_id_of(world, customer)
    await charge_from_now_on(world, stripe_id, await attach(world, stripe_id))
    return stripe_id


async def charge_from_now_on(world: World, stripe_id: str, card: str) -> None:
    """This card is the customer's usual one."""
    await world.stripe("post", f"/v1/customers/{stripe_id}", invoice_settings={"default_payment_method": card})


async def sell_in_dashboard(world: World, stripe_id: str, amount: int, currency: str) -> str:
    """In Stripe's dashboard the customer is subscribed to a product that our catalogue does not know; its id."""
    product = str((await world.stripe("post", "/v1/products", name="Agreed on"))["id"])
    price = await world.stripe(
        "post", "/v1/prices", product=product, unit_amount=amount, currency=currency, recurring={"interval": "month"}
    )
    card = await attach(world, stripe_id)
    await world.stripe(
        "post", "/v1/subscriptions", customer=stripe_id, items=[{"price": price["id"]}], default_payment_method=card
    )
    return product


async def subscribe_by_staff(world: World, customer: str, plan: str, amount: int, currency: str) -> None:
    """A plan without a price is sold in Stripe's dashboard, and the catalogue names the product."""
    product = await sell_in_dashboard(world, await at_stripe(world, customer), amount, currency)
    sold = replace(world.catalog.plans[plan], stripe_products=(product,))
    world.catalog = replace(world.catalog, plans={**world.catalog.plans, plan: sold})


async def put_on(world: World, subscription: str, lookup_key: str, **more: object) -> None:
    """The subscription goes over to another price at once, and the difference is invoiced unless told otherwise."""
    price = await world.gateway.price_of_key(lookup_key)
    assert price is not None
    item = (await world.stripe("get", f"/v1/subscriptions/{subscription}"))["items"]["data"][0]["id"]
    await world.stripe(
        "post", f"/v1/subscriptions/{subscription}", items=[{"id": item, "price": price.id}],
        **{"proration_behavior": "always_invoice", **more},
    )  # fmt: skip


async def move_to(world: World, customer: str, plan: str, **more: object) -> None:
    """The customer goes over to the plan's price in dollars."""
    await put_on(world, await subscription_id_of(world, customer), f"tollhouse_{plan}_month_usd", **more)


async def pay_what_is_open(world: World, stripe_id: str, card: str) -> None:
    """What is owed is paid with this card."""
    invoices = await world.stripe("get", "/v1/invoices", customer=stripe_id, status="open")
    await world.stripe("post", f"/v1/invoices/{invoices['data'][0]['id']}/pay", payment_method=card)


async def pay_open_invoice(world: World, customer: str) -> None:
    """The customer brings a card that works, and what is owed is paid."""
    stripe_id = await stripe_id_of(world, customer)
    await pay_what_is_open(world, stripe_id, await attach(world, stripe_id))


def catalog_granting(grants: Mapping[str, Grant]) -> Catalog:
    """The catalogue with other grants in these plans."""
    changed = {plan: replace(CATALOG.plans[plan], grants=(grant,)) for plan, grant in grants.items()}
    return replace(CATALOG, plans={**CATALOG.plans, **changed})
