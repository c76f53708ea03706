"""One recorded life at Stripe, lived again by other customers whose events come otherwise."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from tests.billing.world import FAILS_LATER, World
from tollhouse.billing import actions
from tollhouse.billing.linking import link
from tollhouse.billing.model import Snapshot
from tollhouse.billing.stripe import StripeGateway
from tollhouse.kernel.clock import DAY


class Stage(msgspec.Struct, frozen=True):
    """A moment of a life: what Stripe says then, and the events that led there since the stage before."""

    day: int
    snapshot: Snapshot
    events: tuple[dict[str, Any], ...]


class Recorded(StripeGateway):
    """Stripe as it was at a recorded moment, for any number of customers that lived the same."""

    def __init__(self) -> None:
        super().__init__("sk_test_recorded")
        self.now: Snapshot | None = None

    async def snapshot(self, stripe_id: str) -> Snapshot:
        assert self.now is not None
        return msgspec.structs.replace(self.now, customer=stripe_id)


async def record(world: World) -> list[Stage]:
    """A purchase, a renewal that fails, its recovery, an upgrade, and the end, as the sandbox tells them."""
    ada = await world.customer()
    stages: list[Stage] = []
    day = 0

    async def stage() -> None:
        events = tuple(await world.new_events())
        await world.receive(events)
        await world.work()
        stages.append(Stage(day, await world.gateway.snapshot(stripe_id), events))

    await world.buy(ada, "starter", FAILS_LATER)
    async with world.store.reading() as tx:
        found = await actions.link_of_customer(tx, ada)
    assert found is not None
    stripe_id = found.id
    await stage()
    await world.pass_days(31)
    day = 31
    await stage()
    card = await world.stripe("post", "/v1/payment_methods/pm_card_visa/attach", customer=stripe_id)
    await world.stripe(
        "post", f"/v1/customers/{stripe_id}", invoice_settings={"default_payment_method": card["id"]}
    )  # fmt: skip
    invoices = await world.stripe("get", "/v1/invoices", customer=stripe_id, status="open")
    await world.stripe("post", f"/v1/invoices/{invoices['data'][0]['id']}/pay", payment_method=card["id"])
    await stage()
    subscription = stages[-1].snapshot.subscriptions[0]
    pro = await world.gateway.price_of_key("tollhouse_pro_month_usd")
    assert pro is not None
    await world.stripe(
        "post", f"/v1/subscriptions/{subscription.id}", items=[{"id": subscription.items[0].id, "price": pro.id}],
        proration_behavior="always_invoice", default_payment_method=card["id"],
    )  # fmt: skip
    await stage()
    await world.stripe("delete", f"/v1/subscriptions/{subscription.id}")
    await stage()
    return stages


class Replay:
    """The same life lived again by fresh customers, whose events come otherwise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stripe = Recorded()
        self.again = World(world.store, self.stripe, world.sandbox_url, world.catalog)
        self.lives = itertools.count()

    async def new_life(self) -> tuple[str, str]:
        """A customer of ours and its Stripe id, with nothing bought yet."""
        number = next(self.lives)
        self.world.store.clock.test_offset_ms = 0
        customer = await self.world.customer(f"life-{number}@example.com")
        stripe_id = f"cus_Life{number}"
        async with self.world.store.transaction() as tx:
            await link(tx, stripe_id, customer, self.world.store.clock.now_ms())
        return customer, stripe_id

    def at(self, stage: Stage) -> None:
        """Time and Stripe stand there."""
        self.stripe.now = stage.snapshot
        self.world.store.clock.test_offset_ms = stage.day * DAY

    async def receive(self, stripe_id: str, events: list[dict[str, Any]]) -> None:
        """These events arrive for this life."""
        await self.again.receive(
            event | {"id": f"{event['id']}_{stripe_id}", "data": {"object": _for(stripe_id, event["data"]["object"])}}
            for event in events
        )


def _for(stripe_id: str, about: dict[str, Any]) -> dict[str, Any]:
    return about | ({"id": stripe_id} if about["object"] == "customer" else {"customer": stripe_id})
