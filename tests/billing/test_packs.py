"""Credit packs: granted on paid, once a session, whatever the events do; beside a subscription and without one."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest

from tests.billing.world import CATALOG, DECLINES, World, opened
from tollhouse.billing import actions
from tollhouse.billing.stripe import translate, wire
from tollhouse.catalog.model import Pack, PackPrice
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.store import Sql

PACKS = {
    "small": Pack("small", "500 credits", "credits", 500_000, (PackPrice(700, "usd", "tollhouse_pack_small_once_usd"),)),
    "brief": Pack(
        "brief", "50 credits", "credits", 50_000, (PackPrice(100, "usd", "tollhouse_pack_brief_once_usd"),),
        expires_after_ms=10 * DAY,
    ),
}  # fmt: skip
SELLING = msgspec.structs.replace(CATALOG, packs=PACKS)
PAID = Sql("select paid_minor, currency from lot where customer = :customer and source = 'bought'")


async def buy(world: World, customer: str, pack: str, card: str = "4242424242424242") -> str:
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, customer)
    return await world.submit(await actions.start_pack_checkout(world.till, payer, pack), card)


async def lots(world: World, customer: str) -> list[tuple[int, str]]:
    found = (await world.state(customer)).lots.get("credits", ())
    return sorted((lot.amount // 1000, lot.source) for lot in found)


@pytest.mark.row("X11")
async def test_a_pack_is_granted_once_with_what_was_paid_for_it(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        back = await buy(world, ada, "small")
        assert back.startswith("http://127.0.0.1:8787/app/billing?checkout=success&pack=small&session=cs_")
        assert await world.credits(ada) == 100

        events = await world.new_events()
        for order in (events, events[::-1], events):  # doubled, and in reverse
            await world.receive(order)
            await world.work()
        assert await lots(world, ada) == [(100, "plan"), (500, "bought")]
        assert (await world.state(ada)).plan == "free"
        session = back.rpartition("=")[2]
        async with world.store.reading() as tx:
            assert await actions.has_arrived(tx, ada, session)
            assert not await actions.has_arrived(tx, ada, "cs_other")
            rows = await tx.fetch(PAID, customer=ada)
        assert [(row["paid_minor"], row["currency"]) for row in rows] == [(700, "usd")]
        [entry] = [entry for entry in await world.book(ada) if entry.action == "pack_bought"]
        note = json.loads(entry.metadata or "{}")
        assert (note["pack"], note["session"], note["credits_granted"]) == ("small", session, 500)


@pytest.mark.row("X11")
async def test_every_order_of_the_events_and_a_single_one_of_them_bring_it(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        about = ("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded")
        for number, order in enumerate(itertools.permutations(range(3))):
            customer = await world.customer(f"ada-{number}@example.com")
            await buy(world, customer, "small")
            events = [event for event in await world.new_events() if event["type"] in about]
            await world.receive([events[place] for place in order][: 1 + number % 3])  # the others are lost
            await world.work()
            assert await lots(world, customer) == [(100, "plan"), (500, "bought")]


@pytest.mark.row("X11")
async def test_it_goes_beside_a_subscription_and_outlives_its_renewal(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        await world.buy(ada, "starter")
        await buy(world, ada, "small")
        await buy(world, ada, "small")
        await buy(world, ada, "brief")
        await world.catch_up()
        assert await lots(world, ada) == [(50, "bought"), (500, "bought"), (500, "bought"), (1_000, "plan")]
        await world.pass_days(31)
        await world.catch_up()
        assert await lots(world, ada) == [(500, "bought"), (500, "bought"), (1_000, "plan")]
        assert (await world.state(ada)).plan == "starter"


@pytest.mark.row("X11")
async def test_an_open_page_of_a_pack_does_not_hinder_a_plan(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        async with world.store.reading() as tx:
            payer = await actions.payer_of(tx, ada)
        page = await actions.start_pack_checkout(world.till, payer, "small")
        await world.buy(ada, "starter")
        await world.submit(page, "4242424242424242")
        await world.catch_up()
        assert await lots(world, ada) == [(500, "bought"), (1_000, "plan")]


@pytest.mark.row("X11")
async def test_nothing_is_granted_that_is_not_paid(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        assert "Your card was declined" in await buy(world, ada, "small", DECLINES)
        await world.catch_up()
        assert await lots(world, ada) == [(100, "plan")]
        with pytest.raises(InvalidRequest, match="there is no pack 'vast'"):
            await buy(world, ada, "vast")


@pytest.mark.row("X11")
async def test_setup_makes_each_price_once(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        again = await actions.ensure_prices(world.store, world.gateway, SELLING)
        assert {found.outcome for found in again} == {"found"}
        dearer = msgspec.structs.replace(
            PACKS["small"], prices=(PackPrice(800, "usd", "tollhouse_pack_small_once_usd"),)
        )
        changed = msgspec.structs.replace(SELLING, packs={**PACKS, "small": dearer})
        outcomes = await actions.ensure_prices(world.store, world.gateway, changed)
        assert [(found.plan, found.outcome) for found in outcomes if found.outcome != "found"] == [
            ("pack small", "replaced")
        ]


@pytest.mark.row("X11")
@pytest.mark.parametrize(("status", "granted"), [("unpaid", False), ("no_payment_required", False), ("paid", True)])
def test_a_completed_session_counts_once_its_delayed_payment_has_come(status: str, granted: bool) -> None:
    session: dict[str, Any] = {
        "id": "cs_1", "created": 1, "expires_at": 2, "status": "complete", "mode": "payment", "payment_status": status,
        "amount_total": 700, "currency": "eur",
        "metadata": {
            "tollhouse_pack": "small", "tollhouse_pack_meter": "credits", "tollhouse_pack_amount": "500",
            "tollhouse_pack_expires_after_ms": "0",
        },
    }  # fmt: skip
    assert (translate.purchase(msgspec.convert(session, wire.CheckoutSession)) is not None) == granted
