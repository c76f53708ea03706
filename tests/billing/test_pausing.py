"""Stripe's events parked and resumed: stored as ever, applied by nobody meanwhile, and proven complete afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import pytest

from tests.billing.processes import Worker
from tests.billing.shop import AURION
from tests.billing.world import World, opened
from tests.cli.running import CommandLine
from tests.support.serving import SESSION_SECRET
from tollhouse.billing import catching_up, looking, pausing, syncing
from tollhouse.billing.account import HANDLED_EVENTS
from tollhouse.billing.catching_up import EARLIER_MS, KEPT_MS, resume
from tollhouse.billing.pausing import Paused
from tollhouse.billing.reconciling import Reconciler, begin
from tollhouse.billing.refreshing import refresh
from tollhouse.billing.stripe import StripeAccount
from tollhouse.billing.syncing import LEASE_MS
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import Conflict, Unavailable
from tollhouse.store import Sql, inbox, open_store
from tollhouse.store.inbox import Event


def account_of(world: World) -> StripeAccount:
    return StripeAccount("sk_test_billing", api_base=world.sandbox_url)


async def pause(world: World) -> pausing.Pause:
    return await pausing.pause(world.store, by_whom="grace", reason="a closer look")


async def go_on(world: World) -> pausing.Pause:
    gateway = account_of(world)
    try:
        return await resume(world.syncer, gateway, by_whom="ada")
    finally:
        await gateway.close()


@pytest.mark.row("U10")
async def test_parked_events_are_kept_as_they_came_and_applied_afterwards(world: World) -> None:
    customer = await world.customer()
    await pause(world)
    await world.buy(customer, "starter")
    events = await world.new_events()
    await world.receive(events)
    await world.work()
    assert await world.events_by_status() == {"pending": len(events)}
    assert (await world.state(customer)).plan == "free"
    async with world.store.reading() as tx:
        rows = await tx.fetch(Sql("select id, payload, attempts, error from inbox"))
    assert {row["id"]: json.loads(row["payload"]) for row in rows} == {event["id"]: event for event in events}
    assert {(row["attempts"], row["error"]) for row in rows} == {(0, None)}

    done = await go_on(world)
    assert done.proof is not None
    assert done.proof.complete
    assert (done.proof.applied, done.resumed_by) == (done.proof.listed, "ada")
    assert set(await world.events_by_status()) == {"done"}
    assert (await world.state(customer)).plan == "starter"
    assert await world.credits(customer) == 1_000


async def bought_in_a_pause(world: World) -> list[Event]:
    """Every event of a purchase, held by another worker when the pause ends."""
    customer = await world.customer()
    await pause(world)
    await world.buy(customer, "starter")
    await world.receive(await world.new_events())
    async with world.store.transaction() as tx:
        return await inbox.claim(tx, world.store.clock.now_ms(), LEASE_MS, "clm_another", most=10_000)


@pytest.mark.row("U10")
async def test_what_another_worker_is_at_is_waited_for(world: World) -> None:
    taken = await bought_in_a_pause(world)
    resuming = asyncio.create_task(go_on(world))
    await asyncio.sleep(1)
    assert not resuming.done()

    async with world.store.transaction() as tx:
        await inbox.done(tx, [(event, "clm_another") for event in taken], world.store.clock.now_ms())

    proof = (await resuming).proof
    assert proof is not None
    assert proof.complete
    assert proof.applied == sum(event.type in HANDLED_EVENTS for event in taken) > 0


@pytest.mark.row("U10")
async def test_a_worker_that_never_ends_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = await bought_in_a_pause(world)
    monkeypatch.setattr(catching_up, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(catching_up, "LOOK_AT_WORK_SECONDS", 0.2)

    proof = (await go_on(world)).proof

    assert proof is not None
    assert not proof.complete
    assert proof.waiting == sum(event.type in HANDLED_EVENTS for event in taken) > 0


@pytest.mark.row("U10")
async def test_what_never_arrived_is_fetched_and_counted(world: World) -> None:
    customer = await world.customer()
    await pause(world)
    await world.buy(customer, "starter")
    events = await world.new_events()
    handled = [event for event in events if event["type"] in HANDLED_EVENTS]
    await world.receive(handled[:2])
    done = await go_on(world)
    assert done.proof is not None
    assert done.proof.listed >= len(handled)
    assert done.fetched == done.proof.listed - 2
    assert done.proof.complete
    async with world.store.reading() as tx:
        (received,) = await tx.fetch(
            Sql("select sum(number) as number from payment_count where kind = 'webhook_received'")
        )
        every = await tx.fetch(Sql("select id from inbox where type <> 'tollhouse.look_again'"))
    assert received["number"] == len(every)
    assert (await world.state(customer)).plan == "starter"
    async with world.store.reading() as tx:
        kept = {row["id"] for row in await tx.fetch(Sql("select id from inbox"))}
    assert {event["id"] for event in handled} <= kept


async def test_a_list_of_many_pages_is_read_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollhouse.billing.stripe.account.PAGE", 3)
    monkeypatch.setattr(catching_up, "EVENTS_PAGE", 3)
    customers = [await world.customer(f"{name}@example.com") for name in ("ada", "grace", "alan")]
    await pause(world)
    for customer in customers:
        await world.buy(customer, "starter")
    listed = [event for event in await world.new_events() if event["type"] in HANDLED_EVENTS]
    assert len(listed) > 9
    done = await go_on(world)
    assert done.proof is not None
    assert done.proof.complete
    assert done.fetched == done.proof.listed >= len(listed)
    assert {(await world.state(customer)).plan for customer in customers} == {"starter"}


async def test_nothing_else_applies_what_stripe_says_either(world: World) -> None:
    customer = await world.customer()
    await world.buy(customer, "starter")
    await pause(world)
    assert not await refresh(world.till, customer)
    async with world.store.transaction() as tx:
        run = await begin(tx, by_whom="test", why="why", dry_run=False, now=world.store.clock.now_ms())
    with pytest.raises(Paused, match="stripe resume"):
        await Reconciler(world.store, world.catalog, world.gateway).step(run)
    assert (await world.state(customer)).plan == "free"
    async with world.store.transaction() as tx:  # what changes nothing may look
        look = await begin(tx, by_whom="test", why="why", dry_run=True, now=world.store.clock.now_ms())
    done, compared = await Reconciler(world.store, world.catalog, world.gateway).step(look)
    assert (done.failed, bool(compared[0].differences)) == (0, True)
    await go_on(world)
    assert (await world.state(customer)).plan == "starter"


async def test_what_was_read_of_stripe_before_a_pause_is_not_applied_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await world.customer()
    await world.buy(customer, "starter")
    await world.receive(await world.new_events())
    whole = looking.look

    async def look(*arguments: Any, **more: Any) -> Any:
        seen = await whole(*arguments, **more)
        with pytest.raises(Unavailable):  # this one is still under way
            await pause(world)
        return seen

    monkeypatch.setattr(pausing, "UNDER_WAY_SECONDS", 0.0)
    monkeypatch.setattr(syncing, "look", look)
    await world.work()
    assert (await world.state(customer)).plan == "free"
    assert "pending" in await world.events_by_status()  # those about no customer are done
    monkeypatch.undo()
    done = await go_on(world)
    assert done.proof is not None
    assert done.proof.complete
    assert (await world.state(customer)).plan == "starter"


async def test_an_event_that_waits_for_staff_makes_it_incomplete(world: World) -> None:
    customer = await world.customer()
    await pause(world)
    await world.buy(customer, "starter")
    await world.receive(await world.new_events())

    async def broken(*arguments: Any, **more: Any) -> Any:
        raise Unavailable("Stripe is down", code="stripe_unavailable")

    asked = world.gateway.snapshot
    world.gateway.snapshot = broken  # type: ignore[method-assign]
    done = await go_on(world)
    assert done.proof is not None
    assert not done.proof.complete
    assert done.proof.waiting > 0
    world.gateway.snapshot = asked  # type: ignore[method-assign]
    with pytest.raises(Conflict):
        await go_on(world)


async def test_pausing_twice_is_one_pause_and_resuming_none_is_told(world: World) -> None:
    with pytest.raises(Conflict, match="not parked"):
        await go_on(world)
    first = await pause(world)
    assert await pause(world) == first
    await go_on(world)
    second = await pause(world)
    assert second.id != first.id
    async with world.store.reading() as tx:
        assert [one.id for one in await pausing.pauses(tx)] == [second.id, first.id]


async def test_what_stripe_no_longer_lists_is_not_called_complete(world: World) -> None:
    await pause(world)
    await world.pass_seconds((KEPT_MS - EARLIER_MS) // 1000 + 60)
    done = await go_on(world)
    assert done.proof is not None
    assert done.proof.too_old
    assert not done.proof.complete


async def test_a_clock_that_is_ten_minutes_off_misses_nothing(world: World) -> None:
    customer = await world.customer()
    world.store.clock.test_offset_ms += 10 * MINUTE
    await pause(world)
    await world.buy(customer, "starter")
    done = await go_on(world)
    assert done.fetched > 0
    assert (await world.state(customer)).plan == "starter"


async def test_while_stripe_does_not_answer_events_stay_parked(world: World) -> None:
    await pause(world)
    gateway = StripeAccount("sk_test_billing", api_base="http://127.0.0.1:1")
    with pytest.raises(Unavailable):
        await resume(world.syncer, gateway, by_whom="ada")
    await gateway.close()
    async with world.store.reading() as tx:
        assert await pausing.is_paused(tx)


@pytest.mark.row("U10")
@pytest.mark.timeout(300)
async def test_a_pause_that_begins_at_any_step_of_applying_lets_nothing_through(world: World, schema_url: str) -> None:
    """A worker stands still at each of its steps while events are parked; when it goes on it applies nothing, or had
    applied before `pause` came back."""
    customer = await world.customer("whole@example.com")
    await world.buy(customer, "starter")
    await world.receive(await world.new_events())
    steps = await Worker(world, schema_url).steps()
    for at in range(1, len(steps) + 1, 3):
        customer = await world.customer(f"at-{at}@example.com")
        await world.buy(customer, "starter")
        await world.receive(await world.new_events())
        worker = Worker(world, schema_url, at=at, signal_number=signal.SIGSTOP)
        await worker.stands_still()
        pausing_now = asyncio.create_task(pause(world))
        await asyncio.sleep(0.1)
        worker.go_on()
        await pausing_now
        plan = (await world.state(customer)).plan
        await worker.ended()
        assert (await world.state(customer)).plan == plan, f"applied after the pause, at {steps[at - 1]}"
        done = await go_on(world)
        assert done.proof is not None
        assert done.proof.complete, steps[at - 1]
        assert (await world.state(customer)).plan == "starter"
        assert await world.credits(customer) == 1_000


@pytest.mark.row("U10")
def test_by_commands_across_restarts(tollhouse: CommandLine, schema_url: str) -> None:
    """Parked by one process, over the start of another, resumed by a third; the counts are plain."""

    async def story() -> None:
        async with opened(schema_url) as world:
            tollhouse.set(
                DATABASE_URL=schema_url, ENVIRONMENT="test", SESSION_SECRET=SESSION_SECRET,
                STRIPE_SECRET_KEY="sk_test_billing", STRIPE_API_BASE=world.sandbox_url,
            )  # fmt: skip
            paused = await asyncio.to_thread(tollhouse, "stripe", "pause", "--reason", "a closer look")
            assert paused.out.startswith("Stripe's events are parked since 20"), paused.err
            customer = await world.customer()
            await world.buy(customer, "starter")
            await world.receive((await world.new_events())[:1])
            await Worker(world, schema_url).ended()
            assert (await world.state(customer)).plan == "free"
            other = await open_store(schema_url)
            async with other.reading() as tx:
                assert await pausing.is_paused(tx)
            await other.close()
            world.store.clock.test_offset_ms += LEASE_MS
            resumed = await asyncio.to_thread(tollhouse, "stripe", "resume", "--json")
            assert resumed.status == 0, resumed.err
            proof = json.loads(resumed.out)["proof"]
            assert proof["complete"]
            assert proof["listed"] == proof["applied"] == proof["arrived"] + proof["fetched"]
            assert proof["fetched"] > 0
            again = await asyncio.to_thread(tollhouse, "stripe", "resume")
            assert (again.status, "not parked" in again.err) == (1, True)

    (tollhouse.directory / "tollhouse.toml").write_text(AURION)
    asyncio.run(story())
