"""A payment is given back, and with it what is left of the credits that it paid for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from tests.billing.steps import catalog_granting, spend, stripe_id_of
from tests.billing.world import CATALOG, World, opened
from tollhouse.catalog.model import Catalog, Grant, Terms
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.granting import NewLot
from tollhouse.ledger.verify import verify_all

TAKING = Terms(on_refund="take_back")
ROLLING = catalog_granting({"starter": Grant("credits", 1_000_000, rollover=None)})
CATALOGS = {
    "keep": CATALOG,
    "take_back": replace(CATALOG, terms=TAKING),
    "rolling": replace(ROLLING, terms=TAKING),
}


@pytest.fixture
async def world(request: pytest.FixtureRequest, schema_url: str) -> AsyncIterator[World]:
    catalog: Catalog = CATALOGS[getattr(request, "param", "take_back")]
    async with opened(schema_url, catalog) as world:
        yield world
        assert (await verify_all(world.store, world.catalog)).findings == []


async def buyer(world: World, plan: str = "starter", interval: str | None = None) -> str:
    ada = await world.customer()
    await world.buy(ada, plan, interval=interval)
    await world.catch_up()
    return ada


async def charges(world: World, customer: str) -> list[dict[str, Any]]:
    """Its payments, the oldest first."""
    found = await world.stripe("get", "/v1/charges", customer=await stripe_id_of(world, customer))
    return list(reversed(found["data"]))


async def refund(world: World, customer: str, number: int = 0, **amount: int) -> None:
    await world.stripe("post", "/v1/refunds", charge=(await charges(world, customer))[number]["id"], **amount)


@pytest.mark.parametrize(("world", "left"), [("keep", 700), ("take_back", 0)], indirect=["world"])
async def test_a_full_refund_takes_back_what_is_left_where_the_file_says_so(world: World, left: int) -> None:
    ada = await buyer(world)
    await spend(world, ada, 300)

    await refund(world, ada)
    await world.catch_up()
    await world.receive(await world.new_events())
    await world.work()

    assert await world.credits(ada) == left
    told = [json.loads(e.metadata or "{}") for e in await world.book(ada) if e.action == "payment_refunded"]
    assert [(entry["refunded_minor"], entry["paid_minor"]) for entry in told] == ([] if left else [(900, 900)])


async def test_what_was_bought_apart_stays(world: World) -> None:
    ada = await buyer(world)
    async with world.store.transaction() as tx:
        await ledger.grant(
            tx, world.catalog, ada, NewLot("credits", 70_000, "topup"), world.store.clock.now_ms(),
            key="top-up", fingerprint=b"t" * 16, reason="bought",
        )  # fmt: skip

    await refund(world, ada)
    await world.catch_up()

    assert await world.credits(ada) == 70


@pytest.mark.parametrize("heard", ["of each", "at the end"])
async def test_refunds_in_parts_take_the_same_parts(world: World, heard: str) -> None:
    ada = await buyer(world)
    await spend(world, ada, 400)
    left = []
    for amount in (300, 150, 450):
        await refund(world, ada, amount=amount)
        if heard == "of each":
            await world.catch_up()
            left.append(await world.credits(ada))
    await world.catch_up()

    assert await world.credits(ada) == 0
    assert left == ([266, 100, 0] if heard == "of each" else [])  # 1,000 less a third, less a half, less all of it


@pytest.mark.parametrize(("status", "left"), [("won", 1_000), ("lost", 0)])
async def test_a_lost_dispute_takes_back_and_a_won_one_does_not(world: World, status: str, left: int) -> None:
    ada = await buyer(world)
    charge = (await charges(world, ada))[0]["id"]
    dispute = await world.control("disputes", charge=charge)
    await world.catch_up()
    assert await world.credits(ada) == 1_000

    await world.control(f"disputes/{dispute['id']}/close", status=status)
    events = [event for event in await world.new_events() if event["type"] == "charge.dispute.closed"]
    assert len(events) == 1
    await world.receive(events)
    await world.work()

    assert await world.credits(ada) == left


async def test_a_refund_of_an_older_month_leaves_the_newer_ones_credits(world: World) -> None:
    ada = await buyer(world)
    await world.pass_days(31)
    await world.catch_up()

    await refund(world, ada, number=0)
    await world.catch_up()

    assert await world.credits(ada) == 1_000


@pytest.mark.parametrize("world", ["rolling"], indirect=True)
async def test_what_was_carried_over_from_a_refunded_month_is_found(world: World) -> None:
    ada = await buyer(world)
    await spend(world, ada, 100)
    for _ in range(2):
        await world.pass_days(31)
        await world.catch_up()
    await spend(world, ada, 50)
    assert await world.credits(ada) == 2_850

    await refund(world, ada, number=1)
    await world.catch_up()
    assert await world.credits(ada) == 1_850

    await refund(world, ada, number=0, amount=450)
    await world.catch_up()
    assert await world.credits(ada) == 1_350
    await refund(world, ada, number=0)
    await world.catch_up()
    assert await world.credits(ada) == 1_000


async def test_the_later_months_of_a_refunded_year_bring_nothing(world: World) -> None:
    ada = await buyer(world, "premium", "year")
    await refund(world, ada)
    await world.catch_up()
    assert await world.credits(ada) == 0

    await world.pass_days(31)
    await world.catch_up()

    assert await world.credits(ada) == 0


async def test_a_refund_that_was_never_told_is_found_by_the_next_look(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await refund(world, ada)
    events = [event for event in await world.new_events() if event["type"] == "invoice.paid"]

    await world.receive(events)
    await world.work()

    assert await world.credits(ada) == 0
