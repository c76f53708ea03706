"""Customers of Stripe's whom nobody is linked to: a run finds them as their event would have."""

from __future__ import annotations

from tests.billing.test_odd_events import parked
from tests.billing.test_reconciling import fields, run_through
from tests.billing.world import World
from tollhouse.store import Sql


async def subscriber(world: World, plan: str = "starter", **given: object) -> str:
    """A customer that the merchant made in Stripe, with a subscription."""
    made = await world.stripe("post", "/v1/customers", email="someone@example.com", **given)
    card = await world.stripe("post", "/v1/payment_methods/pm_card_visa/attach", customer=made["id"])
    price = await world.gateway.price_of_key(f"tollhouse_{plan}_month_usd")
    assert price is not None
    items = [{"price": price.id}]
    await world.stripe("post", "/v1/subscriptions", customer=made["id"], items=items, default_payment_method=card["id"])
    return str(made["id"])


async def test_one_that_names_ours_is_found_linked_and_granted(world: World) -> None:
    ada = await world.customer()
    stripe_id = await subscriber(world, metadata={"tollhouse_customer": ada})
    await world.new_events()  # lost

    run, found = await run_through(world, dry_run=True)
    assert (run.different, fields(found)) == (1, {"linked at Stripe to": (None, stripe_id)})
    await world.work()
    assert (await world.state(ada)).plan == "free"

    run, found = await run_through(world)
    assert found[0].customer == ada
    await world.work()
    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000

    run, found = await run_through(world)
    assert (run.looked, run.different) == (1, 0)


async def test_one_that_names_nobody_is_told_to_staff(world: World) -> None:
    stripe_id = await subscriber(world)
    await world.new_events()  # lost

    _, found = await run_through(world)
    assert found[0].customer == stripe_id
    await world.work()

    assert any("is linked to no customer" in error for error in await parked(world))
    assert len(await world.facts("operator.alert")) == 1


async def test_who_pays_for_nothing_of_ours_is_let_alone(world: World) -> None:
    await world.stripe("post", "/v1/customers", email="someone@example.com")
    await world.stripe("post", "/v1/customers", metadata={"tollhouse_customer": "cus_nobody"})
    linked = await world.customer()
    await world.buy(linked, "starter")
    await world.catch_up()

    run, found = await run_through(world)

    assert (run.looked, run.different, fields(found)) == (1, 0, {})
    assert set(await world.events_by_status()) == {"done"}


async def test_links_that_were_lost_with_a_backup_are_made_again(world: World) -> None:
    customers = [await world.customer(f"c{number}@example.com") for number in range(3)]
    for customer in customers:
        await world.buy(customer, "starter")
    await world.catch_up()
    async with world.store.transaction() as tx:
        await tx.execute(Sql("delete from stripe_customer"))

    run, _ = await run_through(world)
    assert run.different == 3
    await world.work()

    run, _ = await run_through(world)
    assert (run.looked, run.different) == (3, 0)
    for customer in customers:
        assert await world.credits(customer) == 1_000
