"""What the rest of the house hears of Stripe: subscriptions begun and over, payments made, each once."""

from __future__ import annotations

import pytest

from tests.billing.world import World

NAMES = ("subscription.started", "payment.succeeded", "customer.plan.changed", "subscription.ended")


async def heard(world: World) -> list[int]:
    return [len(await world.facts(name)) for name in NAMES]


@pytest.mark.row("X6")
async def test_a_purchase_and_its_end_are_told_once_however_often_stripe_tells_them(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()
    await world.receive(events)
    await world.work()
    assert await heard(world) == [1, 1, 1, 0]
    await world.receive([{**event, "id": f"{event['id']}_again"} for event in events])
    await world.work()
    assert await heard(world) == [1, 1, 1, 0]
    (paid,) = await world.facts("payment.succeeded")
    assert (paid["customer"], paid["amount_minor"], paid["currency"]) == (ada, 900, "usd")
    (found,) = (await world.stripe("get", "/v1/subscriptions", limit=10))["data"]
    await world.stripe("delete", f"/v1/subscriptions/{found['id']}")
    await world.catch_up()
    assert await heard(world) == [1, 1, 2, 1]
    (ended,) = await world.facts("subscription.ended")
    assert (ended["subscription"], ended["plan"]) == (found["id"], "starter")
