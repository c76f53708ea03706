"""Customers moved to another plan or version: seen before, told once, moved once, whatever happens meanwhile (S18, X4)."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from tests.billing.steps import spend, subscription_id_of
from tests.billing.world import CATALOG, World
from tollhouse.billing import actions, moving, pausing
from tollhouse.billing.moves import Choice, Move, choose
from tollhouse.billing.moves_found import find_moves
from tollhouse.billing.moving import Mover, Progress
from tollhouse.billing.pausing import Paused
from tollhouse.billing.stripe import moving as at_stripe
from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.errors import InvalidRequest, Unavailable
from tollhouse.kernel.money import Money
from tollhouse.store import Sql

EVERYBODY = Choice()


class _Killed(BaseException):
    """As if the process had ended there."""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


def changed(
    catalog: Catalog, plan: str, *, sessions: int, amount: int | None = None, credits: int | None = None
) -> Catalog:
    """The catalogue after its file gave this plan another content."""
    old = catalog.plans[plan]
    more: dict[str, Any] = {}
    if amount is not None:
        more["prices"] = tuple(msgspec.structs.replace(price, amount_minor=amount) for price in old.prices)
    if credits is not None:
        more["grants"] = tuple(msgspec.structs.replace(grant, amount=credits * 1000) for grant in old.grants)
    newer: PlanVersion = msgspec.structs.replace(
        old, version=old.version + 1, limits={**old.limits, "sessions": sessions}, **more
    )
    versions = catalog.versions or {(known.plan, known.version): known for known in catalog.plans.values()}
    return msgspec.structs.replace(
        catalog, plans={**catalog.plans, plan: newer}, versions={**versions, (plan, newer.version): newer}
    )


async def sell(world: World, catalog: Catalog) -> None:
    """This is sold from now on, here and at Stripe."""
    world.catalog = catalog
    await actions.ensure_prices(world.store, world.gateway, catalog)


def mover(world: World) -> Mover:
    return Mover(world.store, world.catalog, world.gateway, "http://127.0.0.1:8787")


async def preview(world: World, choice: Choice = EVERYBODY) -> dict[str, Move]:
    return {
        move.email: move async for batch in find_moves(world.store, world.catalog, choice, 2) for move in batch.moves
    }


async def applied(world: World, choice: Choice = EVERYBODY, *, without_notice: bool = True) -> Progress:
    return _sum([step async for step in mover(world).apply(choice, without_notice=without_notice)])


async def notified(world: World, choice: Choice = EVERYBODY, on: date | None = None) -> Progress:
    return _sum([step async for step in mover(world).notify(choice, on)])


def _sum(steps: list[Progress]) -> Progress:
    return Progress(
        sum(step.looked for step in steps), sum(step.done for step in steps), sum(step.stay for step in steps),
        sum(step.untold for step in steps), tuple(failure for step in steps for failure in step.failed),
    )  # fmt: skip


async def subscriber(world: World, email: str, plan: str = "starter") -> str:
    customer = await world.customer(email)
    await world.buy(customer, plan)
    await world.catch_up()
    return customer


async def at_stripe_now(world: World, customer: str) -> tuple[int, str | None]:
    """What the customer's subscription costs at Stripe from its next period on, and the version that it names."""
    found = await world.stripe("get", f"/v1/subscriptions/{await subscription_id_of(world, customer)}")
    return found["items"]["data"][0]["price"]["unit_amount"], found["metadata"].get("tollhouse_plan_version")


@pytest.mark.row("X4", "S18")
async def test_a_subscriber_is_moved_to_the_new_version_and_pays_it_from_the_next_period_on(world: World) -> None:
    ada = await subscriber(world, "ada@example.com")
    await spend(world, ada, 300)
    await sell(world, changed(world.catalog, "starter", sessions=250, amount=1_200, credits=2_000))

    (move,) = (await preview(world)).values()
    assert (move.from_plan, move.from_version, move.to_version, move.stays) == ("starter", 1, 2, None)
    assert [(line.name, line.before, line.after) for line in move.changes] == [
        ("credits", 1_000, 2_000), ("sessions", 100, 250),
    ]  # fmt: skip
    assert (move.price_before, move.price_after, move.every) == (
        Money(900, "usd"), Money(1_200, "usd"), "month",
    )  # fmt: skip
    assert await at_stripe_now(world, ada) == (900, "1")
    assert (await world.state(ada)).plan_version == 1

    assert (await applied(world)).done == 1
    assert await at_stripe_now(world, ada) == (1_200, "2")
    state = await world.state(ada)
    assert (state.plan, state.plan_version) == ("starter", 2)
    assert await world.credits(ada) == 700
    await world.catch_up()
    assert ((await world.state(ada)).plan_version, await world.credits(ada)) == (2, 700)
    async with world.store.reading() as tx:
        assert len(await actions.invoices_of(tx, ada)) == 1  # nothing was charged

    await world.pass_days(32)
    await world.catch_up()
    assert ((await world.state(ada)).plan_version, await world.credits(ada)) == (2, 2_000)
    async with world.store.reading() as tx:
        assert (await actions.invoices_of(tx, ada))[0].paid == Money(1_200, "usd")


@pytest.mark.row("S18")
async def test_whoever_is_on_an_old_plan_is_moved_to_the_one_that_took_its_place(world: World) -> None:
    ada, eve = await subscriber(world, "ada@example.com"), await world.customer("eve@example.com")
    choice = choose(world.catalog, "starter", "pro")
    assert list(await preview(world, choice)) == ["ada@example.com"]
    assert (await applied(world, choice)).done == 1
    await world.catch_up()
    assert [(await world.state(each)).plan for each in (ada, eve)] == ["pro", "free"]
    assert await at_stripe_now(world, ada) == (9_900, "1")
    assert await world.credits(ada) == 1_000  # what was paid for; the next period brings pro's
    moved = [fact for fact in await world.facts("customer.plan.changed") if fact["after"] == "pro"]
    assert len(moved) == 1
    await world.pass_days(32)
    await world.catch_up()
    assert await world.credits(ada) == 15_000
    assert (await applied(world, choice)).done == 0


@pytest.mark.row("X4")
async def test_who_pays_nothing_is_moved_without_stripe(world: World) -> None:
    for number in range(5):
        await world.customer(f"u{number}@example.com")
    world.catalog = changed(world.catalog, "free", sessions=25)
    without_stripe = Mover(world.store, world.catalog, None, "http://127.0.0.1:8787")
    done = _sum([step async for step in without_stripe.apply(EVERYBODY, without_notice=True)])
    assert (done.looked, done.done) == (5, 5)
    async with world.store.reading() as tx:
        rows = await tx.fetch(Sql("select customer, moved_at from plan_move"))
        entries = await tx.fetch(Sql("select metadata from entry where action = 'subscription_changed'"))
    assert len([row for row in rows if row["moved_at"]]) == len(entries) == 5
    assert (await applied(world)).done == 0
    async with world.store.reading() as tx:
        assert len(await tx.fetch(Sql("select 1 as one from entry where action = 'subscription_changed'"))) == 5


@pytest.mark.row("S18")
async def test_everybody_is_told_once_and_only_then_moved(world: World) -> None:
    ada, eve = await world.customer("ada@example.com"), await world.customer("eve@example.com")
    world.catalog = changed(world.catalog, "free", sessions=25)
    assert await applied(world, without_notice=False) == Progress(2, 0, 0, 2)
    assert (await notified(world, on=date(2027, 1, 15))).done == 2
    assert (await notified(world)).done == 0
    mails = [mail for mail in await world.facts("mail.requested") if mail["template"] == "plan_moves"]
    assert sorted(mail["to"] for mail in mails) == ["ada@example.com", "eve@example.com"]
    assert mails[0]["values"] == {
        "plan": "Free",
        "move": "Votre offre Free change le 15 janvier 2027.",
        "changes": "Ce qui change\u00a0: sessions par mois\u00a0: 10 → 25.",
        "price": "Votre prix ne change pas\u00a0: vous ne payez rien.",
        "url": "http://127.0.0.1:8787/app/billing",
    }
    late = await world.customer("late@example.com")
    world.catalog = msgspec.structs.replace(world.catalog)
    assert (await applied(world, without_notice=False)).done == 2
    assert {each: (await world.state(each)).plan_version for each in (ada, eve, late)} == {ada: 2, eve: 2, late: 2}
    assert (await notified(world)).done == 0


@pytest.mark.row("S18", "X4")
async def test_who_cannot_be_moved_stays_and_the_preview_says_why(world: World) -> None:
    ends = await subscriber(world, "ends@example.com")
    await world.stripe("post", f"/v1/subscriptions/{await subscription_id_of(world, ends)}", cancel_at_period_end=True)
    await world.catch_up()
    euro = await world.customer("euro@example.com")
    await world.buy(euro, "premium", interval="month")
    await world.catch_up()
    yearly = await world.customer("yearly@example.com")
    await world.buy(yearly, "premium", interval="year")
    await world.catch_up()
    await world.customer("free@example.com")
    before = {each: await world.end_state(each) for each in (ends, euro, yearly)}

    why = {mail: move.stays for mail, move in (await preview(world, Choice("starter", None, "pro"))).items()}
    assert "its subscription ends on" in str(why["ends@example.com"])
    why = {mail: move.stays for mail, move in (await preview(world, Choice("premium", None, "pro"))).items()}
    assert why["euro@example.com"] == "pro has no price in eur for a month"
    why = {mail: move.stays for mail, move in (await preview(world, Choice("free", None, "starter"))).items()}
    assert why == {"free@example.com": "pays nothing, and starter costs something: it has to buy it"}
    euros = msgspec.structs.replace(world.catalog.plans["pro"], prices=world.catalog.plans["premium"].prices)
    world.catalog = msgspec.structs.replace(world.catalog, plans={**world.catalog.plans, "pro": euros})
    why = {mail: move.stays for mail, move in (await preview(world, Choice("premium", None, "pro"))).items()}
    assert why["euro@example.com"] is None
    assert "has paid its credits for the year" in str(why["yearly@example.com"])
    assert (await applied(world, Choice("free", None, "starter"))).stay == 1
    assert (await applied(world, Choice("starter", None, "pro"))).stay == 1
    assert {each: await world.end_state(each) for each in before} == before


@pytest.mark.row("X4")
@pytest.mark.parametrize("plan", ["starter", "pro"])
async def test_an_event_that_arrives_in_the_midst_changes_nothing_of_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    """Stripe's own event is applied after it was asked, and before our books have followed."""
    ada = await subscriber(world, "ada@example.com")
    await sell(world, changed(world.catalog, plan, sessions=250, amount=1_200))
    whole, asked = at_stripe.move, 0

    async def move(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        answer = await whole(*arguments)
        await world.catch_up()
        return answer

    monkeypatch.setattr(at_stripe, "move", move)
    await applied(world, Choice("starter", None, plan))
    monkeypatch.undo()
    assert asked == 1
    await applied(world, Choice("starter", None, plan))
    await world.catch_up()
    state = await world.state(ada)
    assert (state.plan, state.plan_version) == (plan, 2)
    assert await at_stripe_now(world, ada) == (1_200, "2")
    async with world.store.reading() as tx:
        (row,) = await tx.fetch(Sql("select begun_at, moved_at, failed_at from plan_move"))
    assert row["moved_at"] is not None
    assert row["failed_at"] is None


@pytest.mark.row("S18")
async def test_killed_after_stripe_was_asked_it_goes_on_and_asks_no_second_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await subscriber(world, "ada@example.com")
    await sell(world, changed(world.catalog, "starter", sessions=250, amount=1_200))
    whole, keys = at_stripe.move, list[str]()

    async def move(*arguments: Any) -> Any:
        keys.append(arguments[-1])
        await whole(*arguments)
        raise _Killed

    monkeypatch.setattr(at_stripe, "move", move)
    with pytest.raises(_Killed):
        await applied(world)
    assert (await world.state(ada)).plan_version == 1
    assert await at_stripe_now(world, ada) == (1_200, "2")
    assert (await applied(world)).done == 1
    assert len(keys) == 1
    assert (await world.state(ada)).plan_version == 2


@pytest.mark.row("S18")
async def test_moved_there_back_and_there_again_stripe_is_asked_each_time(world: World) -> None:
    """Not answered from what Stripe remembers of the first time."""
    ada = await subscriber(world, "ada@example.com")
    for plan, amount in (("pro", 9_900), ("starter", 900), ("pro", 9_900)):
        source = "starter" if plan == "pro" else "pro"
        assert (await applied(world, Choice(source, None, plan))).done == 1
        await world.catch_up()
        assert (await at_stripe_now(world, ada))[0] == amount
        await world.pass_seconds(60)


@pytest.mark.row("S18")
async def test_stripe_down_stops_it_and_one_refusal_does_not(world: World) -> None:
    ada, grace = await subscriber(world, "ada@example.com"), await subscriber(world, "grace@example.com")
    await sell(world, changed(world.catalog, "starter", sessions=250, amount=1_200))
    await world.control("faults", api_errors=[{"status": 503, "count": 1_000}])
    with pytest.raises(Unavailable):
        await applied(world)
    await world.control("faults", api_errors=[])
    assert [(await world.state(each)).plan_version for each in (ada, grace)] == [1, 1]

    broken = await subscription_id_of(world, ada)
    await world.control("faults", api_errors=[{"status": 400, "count": 1, "path": f"/v1/subscriptions/{broken}"}])
    done = await applied(world)
    assert (done.done, [failure.customer for failure in done.failed]) == (1, [ada])
    assert (await world.state(grace)).plan_version == 2
    async with world.store.reading() as tx:
        (row,) = await tx.fetch(Sql("select customer, reason from plan_move where failed_at is not null"))
    assert row["customer"] == ada
    assert (await applied(world)).done == 1
    async with world.store.reading() as tx:
        assert await tx.fetch(Sql("select customer from plan_move where failed_at is not null")) == []


@pytest.mark.row("S18")
async def test_what_stripe_says_otherwise_than_our_books_is_not_moved_over(world: World) -> None:
    ada = await subscriber(world, "ada@example.com")
    await world.stripe("post", f"/v1/subscriptions/{await subscription_id_of(world, ada)}", cancel_at_period_end=True)
    await sell(world, changed(world.catalog, "starter", sessions=250, amount=1_200))
    done = await applied(world)  # the event has not come yet
    assert (done.done, len(done.failed)) == (0, 1)
    assert "stripe reconcile" in done.failed[0].reason
    assert (await at_stripe_now(world, ada))[0] == 900


@pytest.mark.row("S18", "U10")
@pytest.mark.parametrize("when", ["before", "in the midst"])
async def test_while_stripes_events_are_parked_no_subscriber_is_moved(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    ada = await subscriber(world, "ada@example.com")
    await sell(world, changed(world.catalog, "starter", sessions=250, amount=1_200))
    whole = at_stripe.move

    async def move(*arguments: Any) -> Any:
        answer = await whole(*arguments)
        await pausing.pause(world.store, by_whom="grace", reason="a closer look")
        return answer

    monkeypatch.setattr(at_stripe, "move", move)
    if when == "before":
        await pausing.pause(world.store, by_whom="grace", reason="a closer look")
    with pytest.raises(Paused) as stopped:
        await applied(world)
    assert stopped.value.fix == "run `tollhouse stripe resume`"
    assert (await world.state(ada)).plan_version == 1
    assert await at_stripe_now(world, ada) == ((900, "1") if when == "before" else (1_200, "2"))
    async with world.store.reading() as tx:
        assert await tx.fetch(Sql("select customer from plan_move where failed_at is not null")) == []


@pytest.mark.row("X4")
async def test_our_books_do_not_follow_a_move_over_what_another_wrote_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else synchronised the customer while Stripe was asked: everything is read once more."""
    ada = await subscriber(world, "ada@example.com")
    await sell(world, changed(world.catalog, "starter", sessions=250, amount=1_200))
    whole, reading, read = at_stripe.move, at_stripe.read, list[int]()

    async def move(*arguments: Any) -> Any:
        answer = await whole(*arguments)
        async with world.store.transaction() as tx:
            await tx.execute(Sql("update stripe_customer set sync_seq = sync_seq + 1 where customer = :ada"), ada=ada)
        return answer

    async def look(*arguments: Any) -> Any:
        read.append((await world.state(ada)).plan_version)
        return await reading(*arguments)

    monkeypatch.setattr(at_stripe, "move", move)
    monkeypatch.setattr(at_stripe, "read", look)
    assert (await applied(world)).done == 1
    assert read == [1, 1]
    assert (await world.state(ada)).plan_version == 2


async def test_without_stripes_key_a_subscriber_cannot_be_moved(world: World) -> None:
    await subscriber(world, "ada@example.com")
    await sell(world, changed(world.catalog, "starter", sessions=250, amount=1_200))
    with pytest.raises(Unavailable, match="STRIPE_SECRET_KEY"):
        _ = [step async for step in Mover(world.store, world.catalog, None, "").apply(EVERYBODY, without_notice=True)]


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("gold", None, "nobody ever bought a plan 'gold'"),
        ("starter@7", None, "there is no 'starter@7'"),
        ("starter@x", None, "there is no 'starter@x'"),
        ("starter", "gold", "'gold' is no plan that is sold"),
        (None, "starter", "nobody is named who moves"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_there_is(source: str | None, target: str | None, told: str) -> None:
    catalog = changed(CATALOG, "starter", sessions=250)
    with pytest.raises(InvalidRequest, match=told) as error:
        choose(catalog, source, target)
    assert error.value.fix
    assert choose(catalog, "Starter@1", None) == Choice("starter", 1, "starter")
