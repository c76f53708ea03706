"""Each lot knows what was paid for it, whatever becomes of its credits; nothing is counted twice (row X9)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.billing.steps import move_to, spend, stripe_id_of, subscription_id_of
from tests.billing.test_packs import SELLING
from tests.billing.test_packs import buy as buy_pack
from tests.billing.world import CATALOG, PAYS, World, opened
from tollhouse.billing import actions
from tollhouse.catalog.model import Catalog, Grant, Meter, OnRefund, OnUpgrade, Pack, PackPrice, Terms
from tollhouse.customers.lots import view_lots
from tollhouse.customers.model import LotView
from tollhouse.kernel.errors import InvalidRequest


def _with_grants(plan: str, *grants: Grant, catalog: Catalog = CATALOG) -> Catalog:
    plans = {**catalog.plans, plan: replace(catalog.plans[plan], grants=grants)}
    return replace(catalog, plans=plans)


async def lots(world: World, customer: str) -> list[LotView]:
    """The oldest first."""
    async with world.store.reading() as tx:
        page = await view_lots(tx, world.catalog, customer, world.store.clock.now_ms())
    assert page.next is None
    return page.lots[::-1]


async def only_charge(world: World, customer: str) -> str:
    """The one payment that it has made."""
    [charge] = (await world.stripe("get", "/v1/charges", customer=await stripe_id_of(world, customer)))["data"]
    return str(charge["id"])


async def values(world: World, customer: str) -> list[tuple[int, int, int, int]]:
    """(paid, deferred, earned, refunded) of every lot that was paid, the oldest first."""
    found = [lot.value for lot in await lots(world, customer) if lot.value is not None]
    for value in found:
        assert value.deferred + value.earned + value.refunded == value.paid
    return [(value.paid, value.deferred, value.earned, value.refunded) for value in found]


@pytest.mark.row("X9")
async def test_a_month_is_deferred_when_paid_earned_as_it_is_spent_and_whole_when_it_ends(schema_url: str) -> None:
    async with opened(schema_url) as world:
        ada = await world.customer()
        assert await values(world, ada) == []
        await world.buy(ada, "starter")
        await world.catch_up()
        assert await values(world, ada) == [(900, 900, 0, 0)]
        await spend(world, ada, 333)
        assert await values(world, ada) == [(900, 601, 299, 0)]
        await world.pass_days(31)
        await world.catch_up()
        assert await values(world, ada) == [(900, 0, 900, 0), (900, 900, 0, 0)]


@pytest.mark.row("X9")
async def test_the_months_of_a_year_share_its_price_to_the_cent(schema_url: str) -> None:
    async with opened(schema_url) as world:
        ada = await world.customer()
        await world.buy(ada, "premium", interval="year")
        for _ in range(12):
            await world.catch_up()
            await world.pass_days(31)
        found = await values(world, ada)
        assert len(found) == 12
        assert sum(paid for paid, *_ in found) == 3_000


@pytest.mark.row("X9")
async def test_what_is_carried_over_stays_deferred_at_the_lot_it_was_paid_with(schema_url: str) -> None:
    selling = _with_grants("starter", Grant("credits", 1_000_000, rollover=None))
    async with opened(schema_url, selling) as world:
        ada = await world.customer()
        await world.buy(ada, "starter")
        await world.catch_up()
        await spend(world, ada, 400)
        await world.pass_days(31)
        await world.catch_up()
        assert await values(world, ada) == [(900, 540, 360, 0), (900, 900, 0, 0)]
        assert [lot.carried_over for lot in await lots(world, ada)].count(True) == 1
        await spend(world, ada, 700)  # 600 of the old ones first
        assert await values(world, ada) == [(900, 0, 900, 0), (900, 810, 90, 0)]


@pytest.mark.row("X9")
async def test_a_plan_with_two_kinds_of_credits_is_paid_once(schema_url: str) -> None:
    meters = {**CATALOG.meters, "tokens": Meter("tokens", "credits")}
    two = _with_grants(
        "starter", Grant("credits", 1_000_000), Grant("tokens", 7), catalog=replace(CATALOG, meters=meters)
    )
    price = replace(two.plans["starter"].prices[0], amount_minor=901, lookup_key="tollhouse_starter_odd")
    plans = {**two.plans, "starter": replace(two.plans["starter"], prices=(price,))}
    async with opened(schema_url, replace(two, plans=plans)) as world:
        ada = await world.customer()
        await world.buy(ada, "starter")
        await world.catch_up()
        assert sorted(paid for paid, *_ in await values(world, ada)) == [450, 451]


@pytest.mark.row("X9")
async def test_a_refund_takes_its_part_of_what_was_paid(schema_url: str) -> None:
    selling = replace(CATALOG, terms=Terms(on_refund="take_back"))
    async with opened(schema_url, selling) as world:
        ada = await world.customer()
        await world.buy(ada, "starter")
        await world.catch_up()
        await spend(world, ada, 400)
        charge = await only_charge(world, ada)
        await world.stripe("post", "/v1/refunds", charge=charge, amount=450)
        await world.catch_up()
        assert await values(world, ada) == [(900, 90, 360, 450)]
        await world.stripe("post", "/v1/refunds", charge=charge, amount=450)
        await world.catch_up()
        assert await values(world, ada) == [(900, 0, 0, 900)]


@pytest.mark.row("X9", "X11")
@pytest.mark.parametrize(("on_refund", "credits"), [("keep", [600, 600]), ("take_back", [350, 100])])
async def test_a_refunded_pack_tells_it_and_its_credits_go_where_the_file_says_so(
    schema_url: str, on_refund: OnRefund, credits: list[int]
) -> None:
    selling = replace(SELLING, terms=Terms(on_refund=on_refund))
    async with opened(schema_url, selling) as world:
        ada = await world.customer()
        await buy_pack(world, ada, "small")
        await world.catch_up()
        assert await world.credits(ada) == 600
        charge = await only_charge(world, ada)
        for number, (deferred, refunded) in enumerate([(350, 350), (0, 700)]):
            await world.stripe("post", "/v1/refunds", charge=charge, amount=350)
            events = await world.new_events()
            for order in (events, events[::-1]):  # doubled, and in reverse
                await world.receive(order)
                await world.work()
            assert await values(world, ada) == [(700, deferred, 0, refunded)]
            assert await world.credits(ada) == credits[number]


@pytest.mark.row("X9")
async def test_what_is_given_back_of_a_plan_is_told_where_the_credits_stay(schema_url: str) -> None:
    async with opened(schema_url) as world:
        ada = await world.customer()
        await world.buy(ada, "starter")
        await world.catch_up()
        charge = await only_charge(world, ada)
        await world.stripe("post", "/v1/refunds", charge=charge, amount=300)
        await world.catch_up()
        assert await values(world, ada) == [(900, 600, 0, 300)]
        assert await world.credits(ada) == 1_000


@pytest.mark.row("X9")
async def test_a_pack_in_yen_stands_beside_a_gift_that_nobody_paid(schema_url: str) -> None:
    price = PackPrice(1_001, "jpy", "tollhouse_pack_small_once_jpy")
    selling = replace(CATALOG, packs={"small": Pack("small", "3 credits", "credits", 3_000, (price,))})
    async with opened(schema_url, selling) as world:
        ada = await world.customer()
        async with world.store.reading() as tx:
            payer = await actions.payer_of(tx, ada)
        await world.submit(await actions.start_pack_checkout(world.till, payer, "small"), PAYS)
        await world.catch_up()
        gift, pack = await lots(world, ada)
        assert (gift.source, gift.value) == ("plan", None)
        assert pack.value is not None
        assert (pack.value.currency, pack.value.paid, pack.value.deferred) == ("jpy", 1_001, 1_001)


@pytest.mark.row("X9")
async def test_lots_are_read_page_by_page(schema_url: str) -> None:
    async with opened(schema_url) as world:
        ada, bob = await world.customer(), await world.customer("bob@example.com")
        await world.buy(ada, "starter")
        await world.catch_up()
        now = world.store.clock.now_ms()
        async with world.store.reading() as tx:
            first = await view_lots(tx, world.catalog, ada, now, limit=1)
            second = await view_lots(tx, world.catalog, ada, now, limit=1, after=first.next)
            for wrong in (first.next, "lot_x", "\0"):
                with pytest.raises(InvalidRequest, match="after is not a lot of this customer"):
                    await view_lots(tx, world.catalog, bob, now, after=wrong)
        assert [lot.source for lot in (*first.lots, *second.lots)] == ["plan", "plan"]
        assert (first.next, second.next) == (first.lots[0].id, None)


async def _paid_in_all(world: World, customer: str) -> int:
    async with world.store.reading() as tx:
        return sum(invoice.paid.amount_minor for invoice in await actions.invoices_of(tx, customer))


@pytest.mark.row("X9")
@pytest.mark.parametrize("on_upgrade", ["replace", "difference"])
async def test_an_upgrade_is_paid_less_what_was_credited_for_the_old_plan(
    schema_url: str, on_upgrade: OnUpgrade
) -> None:
    selling = _with_grants("starter", Grant("credits", 1_000_000, on_upgrade=on_upgrade))
    selling = _with_grants("pro", Grant("credits", 15_000_000, on_upgrade=on_upgrade), catalog=selling)
    async with opened(schema_url, selling) as world:
        ada = await world.customer()
        await world.buy(ada, "starter")
        await world.catch_up()
        await world.pass_days(9)
        await move_to(world, ada, "pro")
        await world.catch_up()
        found = await values(world, ada)
        assert [paid for paid, *_ in found] == [900, await _paid_in_all(world, ada) - 900]
        assert found[0][1] == (900 if on_upgrade == "difference" else 0)


@pytest.mark.row("X9")
async def test_after_many_changes_the_lots_were_paid_what_the_invoices_were(schema_url: str) -> None:
    async with opened(schema_url) as world:
        ada = await world.customer()
        await world.buy(ada, "starter")
        await world.catch_up()
        await world.pass_days(9)
        for number in range(11):
            await move_to(world, ada, "starter" if number % 2 else "pro")
            await world.catch_up()
        await world.pass_days(31)
        await world.catch_up()
        paid = sum(paid for paid, *_ in await values(world, ada))
        assert abs(paid - await _paid_in_all(world, ada)) <= 1, "a second may pass between two changes"


@pytest.mark.row("X9")
async def test_from_the_month_to_the_year_the_rest_of_the_month_is_taken_off(schema_url: str) -> None:
    async with opened(schema_url) as world:
        ada = await world.customer()
        await world.buy(ada, "premium", interval="month")
        await world.catch_up()
        await world.pass_days(9)
        price = await world.gateway.price_of_key("tollhouse_premium_year_eur")
        assert price is not None
        subscription = await subscription_id_of(world, ada)
        item = (await world.stripe("get", f"/v1/subscriptions/{subscription}"))["items"]["data"][0]["id"]
        await world.stripe("post", f"/v1/subscriptions/{subscription}", items=[{"id": item, "price": price.id}])
        for _ in range(12):
            await world.catch_up()
            await world.pass_days(31)
        whole = await _paid_in_all(world, ada)
        assert 3_000 < whole < 3_400
        assert sum(paid for paid, *_ in await values(world, ada)) == whole
