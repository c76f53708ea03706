"""Lives of subscriptions, recorded from the sandbox stage by stage, to be lived again by others whose events come otherwise."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tests.billing import steps
from tests.billing.world import FAILS_LATER, World
from tollhouse.billing.linking import link
from tollhouse.billing.model import Snapshot
from tollhouse.billing.stripe import StripeGateway
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import NotFound


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

    async def snapshot(self, stripe_id: str, *, packs: bool = True) -> Snapshot:
        assert self.now is not None
        unseen: dict[str, Any] = {} if packs else {"purchases": (), "awaited": ()}
        return msgspec.structs.replace(self.now, customer=stripe_id, **unseen)

    async def refunded(self, stripe_id: str) -> dict[str, int]:
        assert self.now is not None
        return dict(self.now.refunded or {})

    async def _call(self, method: str, path: str, *rest: object, **more: object) -> Any:
        raise NotFound(f"{path}: a recording holds a customer's lists and nothing else")


class Recorder:
    """One customer who lives, and what Stripe said at each stage of it."""

    def __init__(self, world: World, customer: str) -> None:
        self.world = world
        self.customer = customer
        self.day = 0
        self.stages: list[Stage] = []

    async def stripe_id(self) -> str:
        return await steps.stripe_id_of(self.world, self.customer)

    async def stage(self, days: int = 0) -> None:
        """Time passes, everything arrives and is handled, and Stripe is asked what it says now."""
        if days:
            await self.world.pass_days(days)
            self.day += days
        events = tuple(await self.world.new_events())
        await self.world.receive(events)
        await self.world.work()
        stripe_id = await self.stripe_id()
        snapshot = msgspec.structs.replace(
            await self.world.gateway.snapshot(stripe_id), refunded=await self.world.gateway.refunded(stripe_id)
        )
        self.stages.append(Stage(self.day, snapshot, events))

    async def subscription(self) -> Any:
        found = await self.world.stripe("get", "/v1/subscriptions", customer=await self.stripe_id(), status="all")
        return found["data"][0]

    async def change(self, **parameters: Any) -> None:
        await self.world.stripe("post", f"/v1/subscriptions/{(await self.subscription())['id']}", **parameters)

    async def move_to(self, lookup_key: str) -> None:
        """Another price, prorated and paid at once."""
        await steps.put_on(self.world, (await self.subscription())["id"], lookup_key)

    async def good_card(self) -> str:
        """A card that pays, from now on the one that is charged."""
        stripe_id = await self.stripe_id()
        card = await steps.attach(self.world, stripe_id)
        await steps.charge_from_now_on(self.world, stripe_id, card)
        return card

    async def pay_what_is_open(self, card: str) -> None:
        await steps.pay_what_is_open(self.world, await self.stripe_id(), card)

    async def end(self) -> None:
        await self.world.stripe("delete", f"/v1/subscriptions/{(await self.subscription())['id']}")


async def recorder(world: World) -> Recorder:
    """Ada, who has bought nothing yet."""
    return Recorder(world, await world.customer())


async def a_whole_life(world: World) -> list[Stage]:
    """A purchase, a renewal that fails, its recovery, an upgrade, and the end."""
    ada = await recorder(world)
    await world.buy(ada.customer, "starter", FAILS_LATER)
    await ada.stage()
    await ada.stage(days=31)
    card = await ada.good_card()
    await ada.pay_what_is_open(card)
    await ada.stage()
    await ada.change(default_payment_method=card)
    await ada.move_to("tollhouse_pro_month_usd")
    await ada.stage()
    await ada.end()
    await ada.stage()
    return ada.stages


async def a_year_by_the_month(world: World) -> list[Stage]:
    """A yearly price with credits every month, renewed once, then let go at the period's end."""
    ada = await recorder(world)
    await world.buy(ada.customer, "premium", interval="year")
    await ada.stage()
    for days in (31, 31, 31, 275):
        await ada.stage(days=days)
    await ada.change(cancel_at_period_end=True)
    await ada.stage()
    return ada.stages


async def a_trial_that_is_kept(world: World) -> list[Stage]:
    """A week for nothing, then paid, then ended."""
    ada = await recorder(world)
    stripe_id = await steps.at_stripe(world, ada.customer)
    price = await world.gateway.price_of_key("tollhouse_starter_month_usd")
    assert price is not None
    await world.stripe(
        "post", "/v1/subscriptions", customer=stripe_id, items=[{"price": price.id}], trial_period_days=7
    )  # fmt: skip
    await ada.stage()
    await ada.stage(days=8)
    await ada.change(cancel_at_period_end=True)
    await ada.stage()
    await ada.change(cancel_at_period_end=False)
    await ada.stage()
    return ada.stages


async def a_purchase_paid_back(world: World) -> list[Stage]:
    """Bought, paid back whole, ended."""
    ada = await recorder(world)
    await world.buy(ada.customer, "starter")
    await ada.stage()
    paid = await world.stripe("get", "/v1/payment_intents", customer=await ada.stripe_id())
    await world.stripe("post", "/v1/refunds", payment_intent=paid["data"][0]["id"])
    await ada.stage()
    await ada.end()
    await ada.stage()
    return ada.stages


LIVES: dict[str, Callable[[World], Awaitable[list[Stage]]]] = {
    "whole": a_whole_life,
    "year": a_year_by_the_month,
    "trial": a_trial_that_is_kept,
    "refund": a_purchase_paid_back,
}


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
