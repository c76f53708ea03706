"""Credit packs: granted on paid, once a session, whatever the events do; beside a subscription and without one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tollhouse.presets
from tests.billing.world import CATALOG, DECLINES, World, opened
from tests.support.databases import new_sqlite
from tollhouse.billing import actions
from tollhouse.billing.stripe import translate, wire
from tollhouse.catalog.load import load_catalog
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
    "both": Pack(
        "both", "200 credits", "credits", 200_000,
        (PackPrice(300, "usd", "tollhouse_pack_both_once_usd"), PackPrice(280, "eur", "tollhouse_pack_both_once_eur")),
    ),
}  # fmt: skip
SELLING = msgspec.structs.replace(CATALOG, packs=PACKS)
PAID = Sql("select paid_minor, currency from lot where customer = :customer and source = 'bought'")


async def buy(
    world: World, customer: str, pack: str, card: str = "4242424242424242", currency: str | None = None
) -> str:
    page = await actions.start_pack_checkout(world.till, await world.payer(customer), pack, currency=currency)
    return await world.submit(page, card)


async def paid(world: World, customer: str) -> list[tuple[int, str]]:
    """What was paid for each lot that was bought."""
    async with world.store.reading() as tx:
        return [(row["paid_minor"], row["currency"]) for row in await tx.fetch(PAID, customer=customer)]


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
        assert await paid(world, ada) == [(700, "usd")]
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
        page = await actions.start_pack_checkout(world.till, await world.payer(ada), "small")
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
async def test_a_pack_with_several_prices_is_sold_at_each_of_them(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        bob = await world.customer("bob@example.com")
        await buy(world, ada, "both")
        await buy(world, bob, "both", currency="EUR")
        with pytest.raises(InvalidRequest, match="this customer pays in usd since its first purchase"):
            await buy(world, ada, "both", currency="eur")
        await world.catch_up()
        assert await paid(world, ada) == [(300, "usd")]
        assert await paid(world, bob) == [(280, "eur")]
        new = await world.customer("new@example.com")
        with pytest.raises(InvalidRequest, match="the pack 'both' has no price in gbp; fix: name one of: usd, eur"):
            await buy(world, new, "both", currency="gbp")


@pytest.mark.row("X11")
async def test_who_subscribes_in_a_currency_buys_packs_in_it_and_in_no_other(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        await world.buy(ada, "premium")
        await world.catch_up()
        await buy(world, ada, "both")
        with pytest.raises(InvalidRequest, match="this customer pays in eur"):
            await buy(world, ada, "both", currency="usd")
        with pytest.raises(InvalidRequest, match="the pack 'small' has no price in eur"):
            await buy(world, ada, "small")
        await world.catch_up()
        assert await paid(world, ada) == [(280, "eur")]


@pytest.mark.row("X11")
async def test_its_time_counts_from_the_payment_whenever_it_is_heard_of(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada = await world.customer()
        page = await actions.start_pack_checkout(world.till, await world.payer(ada), "brief")
        await world.pass_seconds(20 * 3_600)
        at = world.store.clock.now_ms()
        await world.submit(page, "4242424242424242")
        await world.pass_days(2)
        await world.catch_up()
        [lot] = [lot for lot in (await world.state(ada)).lots["credits"] if lot.source == "bought"]
        assert lot.expires_at is not None
        assert at - 1_000 <= lot.expires_at - 10 * DAY <= at + 10_000


@pytest.mark.row("X11")
async def test_a_pack_that_cannot_be_granted_is_told_once_and_granted_once_it_can(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        ada, eve = await world.customer(), await world.customer("eve@example.com")
        meters = {name: meter for name, meter in SELLING.meters.items() if name != "credits"}
        plans = {name: msgspec.structs.replace(plan, grants=()) for name, plan in SELLING.plans.items()}
        sessions = [(await buy(world, customer, "small")).rpartition("=")[2] for customer in (ada, ada, eve)]
        world.catalog = msgspec.structs.replace(SELLING, meters=meters, plans=plans)
        events = await world.new_events()
        for number in range(3):
            await world.receive([event | {"id": f"{event['id']}_{number}"} for event in events])
            await world.work()
        told = [fact["key"] for fact in await world.facts("operator.alert")]
        assert sorted(told) == sorted(f"pack_not_granted:{session}" for session in sessions)

        world.catalog = SELLING
        await world.receive(events)
        await world.work()
        assert [await world.credits(customer) for customer in (ada, eve)] == [1_100, 600]
        assert len(await world.facts("operator.alert")) == 3


@pytest.mark.row("X11")
async def test_the_packs_of_the_presets_are_sold(tmp_path: Path) -> None:
    sold = []
    for path in sorted(Path(tollhouse.presets.__file__).parent.glob("*.toml")):
        catalog = load_catalog(path)
        if not catalog.packs:
            continue
        async with opened(new_sqlite(tmp_path, f"{path.stem}.db"), catalog) as world:
            ada = await world.customer()
            for pack in catalog.packs.values():
                await buy(world, ada, pack.name)
                await world.catch_up()
                lots_of_pack = [lot for lot in (await world.state(ada)).lots[pack.meter] if lot.source == "bought"]
                assert [lot.amount for lot in lots_of_pack] == [pack.amount]
                sold.append((path.stem, pack.name))
    assert sold == [("aurion", "recharge")]


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


@pytest.mark.row("X11")
@pytest.mark.parametrize(
    ("intent", "paid_at"),
    [
        (None, 1),
        ("pi_1", 1),
        ({"id": "pi_1", "status": "succeeded"}, 1),
        ({"id": "pi_1", "status": "succeeded", "latest_charge": {"id": "ch_1", "created": 9}}, 9),
    ],
)
def test_a_session_was_paid_when_it_was_charged(intent: object, paid_at: int) -> None:
    session: dict[str, Any] = {
        "id": "cs_1", "created": 1, "expires_at": 2, "mode": "payment", "payment_status": "paid", "amount_total": 700,
        "payment_intent": intent, "currency": "eur",
        "metadata": {"tollhouse_pack_amount": "500", "tollhouse_pack_expires_after_ms": "5000"},
    }  # fmt: skip
    found = translate.purchase(msgspec.convert(session, wire.CheckoutSession))
    assert found is not None
    assert (found.paid_at, found.expires_at) == (paid_at * 1_000, paid_at * 1_000 + 5_000)


async def test_checkout_pages_are_listed_only_for_who_opened_one_of_a_pack(
    schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(schema_url, SELLING) as world:
        listed: list[str] = []
        purchases = world.gateway.purchases

        async def watched(stripe_id: str) -> object:
            listed.append(stripe_id)
            return await purchases(stripe_id)

        monkeypatch.setattr(world.gateway, "purchases", watched)
        ada = await world.customer()
        await world.buy(ada, "starter")
        await world.catch_up()
        listed.clear()

        await world.pass_days(32)
        await world.catch_up()
        assert listed == []

        await actions.start_pack_checkout(world.till, await world.payer(ada), "small")
        await world.pass_days(32)
        await world.catch_up()
        assert listed
