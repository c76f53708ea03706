"""Whatever order events come in, however often, by however many workers: one end state (promise 5)."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import msgspec
import pytest

from tests.billing.world import FAILS_LATER, World
from tollhouse.billing import actions
from tollhouse.billing.linking import link
from tollhouse.billing.model import Snapshot
from tollhouse.billing.stripe import StripeGateway
from tollhouse.kernel.clock import DAY

TYPES_OF_A_PURCHASE = (
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "invoice.paid",
    "invoice.payment_succeeded",
)


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
        self.again = World(world.store, self.stripe, world.sandbox_url)
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


async def test_every_permutation_of_a_purchase_ends_the_same(world: World) -> None:
    stage = (await record(world))[0]
    events = [event for event in stage.events if event["type"] in TYPES_OF_A_PURCHASE]
    assert sorted(event["type"] for event in events) == sorted(TYPES_OF_A_PURCHASE)
    replay = Replay(world)
    ends = []
    for order in itertools.permutations(events):
        customer, stripe_id = await replay.new_life()
        replay.at(stage)
        for event in order:
            await replay.receive(stripe_id, [event])
            await replay.again.work()
        ends.append(await replay.again.end_state(customer))

    assert len(ends) == 120
    assert ends[0]["plan"][0] == "starter"
    assert [lot[0] for lot in ends[0]["lots"]] == [1_000_000]
    assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize("seed", range(8))
async def test_late_doubled_and_shuffled_events_of_a_whole_life_end_the_same(world: World, seed: int) -> None:
    stages = await record(world)
    replay = Replay(world)
    in_order, first_id = await replay.new_life()
    for stage in stages:
        replay.at(stage)
        await replay.receive(first_id, list(stage.events))
        await replay.again.work()
    expected = await replay.again.end_state(in_order)
    assert [invoice[1] for invoice in expected["invoices"]] == ["paid"] * 3

    chance = random.Random(seed)
    for _ in range(4):
        customer, stripe_id = await replay.new_life()
        late: list[dict[str, Any]] = []
        for stage in stages:
            replay.at(stage)
            waiting = [*late, *stage.events]
            chance.shuffle(waiting)
            cut = chance.randint(0, len(waiting)) if stage is not stages[-1] else len(waiting)
            now, late = waiting[:cut], waiting[cut:]
            for event in [*now, *chance.sample(now, len(now) // 2)]:
                await replay.receive(stripe_id, [event])
                if chance.random() < 0.5:
                    await replay.again.work()
        await replay.again.work()
        assert await replay.again.end_state(customer) == expected


async def test_a_life_that_is_heard_of_when_it_is_over_ends_the_same(world: World) -> None:
    stages = await record(world)
    replay = Replay(world)
    step_by_step, first_id = await replay.new_life()
    for stage in stages:
        replay.at(stage)
        await replay.receive(first_id, list(stage.events))
        await replay.again.work()
    expected = await replay.again.end_state(step_by_step)
    assert expected["plan"][0] == "free"
    assert [(lot[0], lot[5] == lot[4]) for lot in expected["lots"]] == [
        (15_000_000, True)
    ]  # it ends when it was paid to

    at_once, second_id = await replay.new_life()
    replay.at(stages[-1])
    await replay.receive(second_id, [event for stage in stages for event in reversed(stage.events)])
    await replay.again.work()

    assert await replay.again.end_state(at_once) == expected


async def test_events_heard_twice_are_kept_once(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()

    await world.receive([*events, *events, *reversed(events)])
    await world.work()
    await world.receive(events)
    await world.work()

    assert await world.events_by_status() == {"done": len(events)}
    assert await world.credits(ada) == 1_000
    assert [e.action for e in await world.book(ada)].count("plan_upgraded") == 1


async def test_two_workers_on_one_inbox_apply_once(world: World) -> None:
    customers = [await world.customer(f"{name}@example.com") for name in ("ada", "eve", "mia", "zoe")]
    for customer in customers:
        await world.buy(customer, "starter")
    events = await world.new_events()
    random.Random(4).shuffle(events)

    async def worker() -> None:
        while await world.syncer.work_once():
            pass

    for event in events:
        await world.receive([event])
        await asyncio.gather(worker(), worker())
    await world.work()

    assert await world.events_by_status() == {"done": len(events)}
    for customer in customers:
        assert await world.credits(customer) == 1_000
        assert [e.action for e in await world.book(customer)].count("plan_upgraded") == 1
