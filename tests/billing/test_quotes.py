"""Quotes: a price that staff set for one customer, applied at Checkout once, whatever happens at the same time."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import pytest

from tests.billing.steps import stripe_id_of
from tests.billing.test_intents import bring_card, payer
from tests.billing.world import PAYS, World
from tollhouse.billing import actions
from tollhouse.billing.quotes import Quote, open_quote, quotes_of, read_quote
from tollhouse.billing.quoting import quote_plan, withdraw_quote
from tollhouse.billing.subscribing import subscribe
from tollhouse.kernel.clock import DAY, MINUTE
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound, TollhouseError


async def quote(world: World, customer: str, kind: str = "percent", value: str = "20", **more: str | int) -> Quote:
    """Staff quote for the plan starter ($9 a month) unless said otherwise."""
    asked = {"plan": "starter", "interval": None, "duration": "forever", "months": "", "lasts_ms": 30 * DAY, **more}
    async with world.store.transaction() as tx:
        return await quote_plan(
            tx, world.catalog, customer, kind=kind, value=value, reason="fifty seats", by_whom="grace@example.com",
            now=world.store.clock.now_ms(), **asked,  # type: ignore[arg-type]
        )  # fmt: skip


async def status_of(world: World, name: str) -> str:
    async with world.store.reading() as tx:
        return (await read_quote(tx, name, world.store.clock.now_ms())).status


async def paid(world: World, customer: str) -> list[int]:
    """What each invoice came to, the oldest first."""
    async with world.store.reading() as tx:
        return [invoice.paid.amount_minor for invoice in await actions.invoices_of(tx, customer)][::-1]


@pytest.mark.row("S22")
@pytest.mark.parametrize(
    ("kind", "value", "duration", "months", "expected"),
    [
        ("percent", "20", "forever", "", [720, 720, 720]),
        ("percent", "12.5", "once", "", [787, 900, 900]),
        ("amount", "1.50", "months", "2", [750, 750, 900]),
        ("price", "7", "forever", "", [700, 700, 700]),
    ],
)
async def test_a_quote_is_paid_at_checkout_for_as_long_as_it_lasts(
    world: World, kind: str, value: str, duration: str, months: str, expected: list[int]
) -> None:
    ada = await world.customer()
    made = await quote(world, ada, kind, value, duration=duration, months=months)
    assert (made.status, made.by_whom, made.reason) == ("open", "grace@example.com", "fifty seats")
    await world.buy(ada, "starter")
    await world.catch_up()
    for _ in range(2):
        await world.pass_days(32)
        await world.catch_up()

    assert await paid(world, ada) == expected
    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000, "who pays less gets no less"
    async with world.store.reading() as tx:
        kept = await read_quote(tx, made.id, world.store.clock.now_ms())
        subscription = await actions.subscription_of(tx, ada)
    assert subscription is not None
    assert (kept.status, kept.subscription) == ("used", subscription.id)


@pytest.mark.row("S22")
async def test_a_quote_is_for_one_customer_one_plan_and_one_term(world: World) -> None:
    ada, bob = await world.customer(), await world.customer("bob@example.com")
    await quote(world, ada)
    await quote(world, ada, "price", "25", plan="premium", interval="year")
    await world.buy(bob, "starter")
    await world.buy(ada, "premium", PAYS, "month")
    await world.catch_up()

    assert (await paid(world, bob), await paid(world, ada)) == ([900], [400])
    async with world.store.reading() as tx:
        assert {one.status for one in await quotes_of(tx, ada, world.store.clock.now_ms())} == {"open"}


@pytest.mark.row("S22")
async def test_a_used_quote_is_not_applied_again(world: World) -> None:
    ada = await world.customer()
    made = await quote(world, ada, duration="once")
    await world.buy(ada, "starter")
    events = await world.new_events()
    await world.receive([*events, *reversed(events)])
    await world.work()
    async with world.store.transaction() as tx:
        for event in events:
            await actions.replay(tx, event["id"], world.store.clock.now_ms())
    await world.work()
    assert await status_of(world, made.id) == "used"

    listed = await world.stripe("get", "/v1/subscriptions", customer=await stripe_id_of(world, ada))
    await world.stripe("delete", f"/v1/subscriptions/{listed['data'][0]['id']}")
    await world.catch_up()
    await world.buy(ada, "starter")
    await world.catch_up()
    assert sorted(await paid(world, ada)) == [720, 900]
    assert (await quote(world, ada)).status == "open", "another may be quoted"


@pytest.mark.row("S22")
async def test_a_quote_that_has_expired_or_was_withdrawn_is_not_applied(world: World) -> None:
    ada, bob = await world.customer(), await world.customer("bob@example.com")
    late, gone = await quote(world, ada, lasts_ms=DAY), await quote(world, bob)
    await world.pass_days(2)
    done = await withdraw_quote(world.till, gone.id, by_whom="grace@example.com", why="a mistake")
    assert (done.status, done.withdrawn_by, done.withdrawn_why) == ("withdrawn", "grace@example.com", "a mistake")
    assert await withdraw_quote(world.till, gone.id, by_whom="eve@example.com", why="again") == done
    for customer in (ada, bob):
        await world.buy(customer, "starter")
    await world.catch_up()

    assert (await paid(world, ada), await paid(world, bob)) == ([900], [900])
    assert [await status_of(world, one.id) for one in (late, gone)] == ["expired", "withdrawn"]
    assert (await quote(world, ada)).status == "open", "an expired quote makes room for another"


@pytest.mark.row("S22")
async def test_withdrawing_closes_the_page_on_which_it_stands(world: World) -> None:
    ada = await world.customer()
    made = await quote(world, ada)
    page = await actions.start_checkout(world.till, await payer(world, ada), "starter")
    await withdraw_quote(world.till, made.id, by_whom="grace@example.com", why="a mistake")

    await world.submit(page, PAYS)
    await world.catch_up()
    assert await paid(world, ada) == []
    with pytest.raises(TollhouseError, match="No such coupon"):
        await world.gateway._call("get", f"/v1/coupons/tollhouse_{made.id}", {}, dict)


async def test_a_page_stays_open_no_longer_than_its_quote(world: World) -> None:
    ada = await world.customer()
    made = await quote(world, ada, lasts_ms=60 * MINUTE)
    await actions.start_checkout(world.till, await payer(world, ada), "starter")
    pages = await world.gateway.open_checkouts(await stripe_id_of(world, ada))
    assert [page.expires_at // 1000 for page in pages] == [made.expires_at // 1000]


async def test_a_quote_that_is_paid_while_it_is_withdrawn_is_used(world: World) -> None:
    ada = await world.customer()
    made = await quote(world, ada)
    await world.buy(ada, "starter")
    await withdraw_quote(world.till, made.id, by_whom="grace@example.com", why="too late")
    await world.catch_up()
    assert await status_of(world, made.id) == "used"
    assert await paid(world, ada) == [720]
    with pytest.raises(Conflict, match="has been used by sub_"):
        await withdraw_quote(world.till, made.id, by_whom="grace@example.com", why="again")


async def test_a_front_end_of_ones_own_applies_it_too(world: World) -> None:
    ada = await world.customer()
    made = await quote(world, ada, "price", "5.55")
    await subscribe(world.till, await payer(world, ada), "starter", None, await bring_card(world, ada))
    await world.catch_up()
    assert await paid(world, ada) == [555]
    assert await status_of(world, made.id) == "used"


async def test_several_staff_at_once_open_one_quote(world: World) -> None:
    ada = await world.customer()

    async def one(percent: int) -> Quote | TollhouseError:
        try:
            return await quote(world, ada, value=str(percent))
        except TollhouseError as error:
            return error

    answers = await asyncio.gather(*[one(percent) for percent in range(10, 18)])
    made = [answer for answer in answers if isinstance(answer, Quote)]
    assert len(made) == 1
    assert {answer.code for answer in answers if isinstance(answer, TollhouseError)} == {"quote_open"}
    async with world.store.reading() as tx:
        assert await open_quote(tx, ada, "starter", "month", world.store.clock.now_ms()) == made[0]


async def test_several_pages_at_once_make_one_coupon(world: World) -> None:
    ada = await world.customer()
    made = await quote(world, ada)
    who = await payer(world, ada)

    async def page() -> None:
        with suppress(Conflict):  # `checkout_open`: another page is the newer one
            await actions.start_checkout(world.till, who, "starter")

    await asyncio.gather(*[page() for _ in range(4)])
    coupons = (await world.stripe("get", "/v1/coupons"))["data"]
    assert [coupon["id"] for coupon in coupons] == [f"tollhouse_{made.id}"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"kind": "percent", "value": "101"}, "more than all of it"),
        ({"kind": "percent", "value": "12.345"}, "too fine"),
        ({"kind": "percent", "value": "nan"}, "no number"),
        ({"kind": "percent", "value": "0"}, "not above 0"),
        ({"kind": "percent", "value": "1e999999999"}, "no number|too large"),
        ({"kind": "amount", "value": "9"}, "not below the plan's price of 9.00 USD"),
        ({"kind": "price", "value": "9.01"}, "not below the plan's price"),
        ({"kind": "gift", "value": "1"}, "no kind of quote"),
        ({"duration": "months", "months": "0"}, "no number of months"),
        ({"duration": "always"}, "no duration"),
        ({"plan": "free"}, "costs nothing"),
        ({"plan": "vast"}, "sold on request"),
        ({"interval": "year"}, "no price for the interval"),
        ({"lasts_ms": 0}, "ends in the past"),
        ({"lasts_ms": 400 * DAY}, "more than a year"),
    ],
)
async def test_what_cannot_be_quoted_is_refused_with_its_fix(
    world: World, asked: dict[str, str | int], said: str
) -> None:
    ada = await world.customer()
    with pytest.raises(InvalidRequest) as refused:
        await quote(world, ada, **asked)  # type: ignore[arg-type]
    assert re.search(said, refused.value.detail)
    assert refused.value.fix
    async with world.store.reading() as tx:
        assert await quotes_of(tx, ada, world.store.clock.now_ms()) == []


async def test_an_unknown_quote_is_told(world: World) -> None:
    for name in ("quo_nothing", "quo_\x00", "", "quo_" + "0" * 26):
        with pytest.raises(NotFound, match="there is no quote"):
            await withdraw_quote(world.till, name, by_whom="grace@example.com", why="a mistake")
