"""Our books against Stripe's: what is missing is found, shown without a change, repaired once, and told."""

from __future__ import annotations

import msgspec
import pytest

from tests.billing.world import PAYS, World
from tollhouse.billing import actions, reconciling
from tollhouse.billing.model import Snapshot
from tollhouse.billing.reconciling import Compared, Reconciler, Run, begin, read_run, run_due
from tollhouse.catalog.model import Pack, PackPrice
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import Conflict, Unavailable


async def run_through(world: World, *, dry_run: bool = False, by_whom: str = "ada") -> tuple[Run, list[Compared]]:
    """A whole run, as the command makes it."""
    reconciler = Reconciler(world.store, world.catalog, world.gateway)
    async with world.store.transaction() as tx:
        run = await begin(tx, by_whom=by_whom, why="a try", dry_run=dry_run, now=world.store.clock.now_ms())
    found: list[Compared] = []
    while run.finished_at is None:
        run, compared = await reconciler.step(run)
        found += compared
    return run, found


def fields(found: list[Compared]) -> dict[str, tuple[str | None, str | None]]:
    return {line.field: (line.ours, line.stripes) for one in found for line in one.differences}


async def test_a_purchase_whose_events_were_all_lost_is_found_and_repaired(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.new_events()  # lost

    run, found = await run_through(world, dry_run=True)
    assert (run.looked, run.different, run.failed) == (1, 1, 0)
    assert fields(found)["plan"] == ("free (version 1)", "starter (version 1)")
    assert (await world.state(ada)).plan == "free"
    assert await world.credits(ada) == 100
    assert await world.facts("customer.plan.changed") == []

    run, repaired = await run_through(world)
    assert fields(repaired) == fields(found)
    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000
    assert len(await world.facts("customer.plan.changed")) == 1

    run, found = await run_through(world)
    assert (run.looked, run.different, found[0].differences) == (1, 0, ())
    async with world.store.reading() as tx:
        kept = await reconciling.differences_of_customer(tx, ada, 100)
    assert {(line.field, line.repaired) for line in kept} >= {("plan", True), ("plan", False)}


async def test_every_kind_of_lost_event_is_repaired(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    subscription = (await world.stripe("get", "/v1/subscriptions", status="all"))["data"][0]["id"]

    await world.stripe("post", f"/v1/subscriptions/{subscription}", cancel_at_period_end=True)
    _, found = await run_through(world)
    assert fields(found).keys() == {"ends", f"{subscription} ends"}

    await world.stripe("post", f"/v1/subscriptions/{subscription}", cancel_at_period_end=False)
    await world.pass_days(32)
    _, found = await run_through(world)
    assert any("credits of starter, month 1" in field for field in fields(found))
    assert await world.credits(ada) == 1_000

    await world.stripe("delete", f"/v1/subscriptions/{subscription}")
    _, found = await run_through(world)
    assert fields(found)["plan"] == ("starter (version 1)", "free (version 1)")
    assert fields(found)[f"{subscription} status"] == ("active", "canceled")

    await world.catch_up()
    assert (await run_through(world))[0].different == 0


async def test_one_customer_that_cannot_be_compared_spoils_no_other(world: World) -> None:
    ada, grace = await world.customer(), await world.customer("grace@example.com")
    await world.buy(ada, "starter")
    await world.buy(grace, "starter", PAYS)
    await world.new_events()
    await world.control("faults", api_errors=[{"status": 400, "count": 1, "path": "/v1/subscriptions"}])

    run, found = await run_through(world)
    assert (run.looked, run.different, run.failed) == (2, 1, 1)
    assert sum(one.error is not None for one in found) == 1
    assert sorted([await world.credits(ada), await world.credits(grace)]) == [100, 1_000]

    run, _ = await run_through(world)
    assert (run.looked, run.different, run.failed) == (2, 1, 0)
    assert [await world.credits(ada), await world.credits(grace)] == [1_000, 1_000]


async def test_a_run_that_stopped_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "CHUNK", 1)
    for number in range(3):
        await world.buy(await world.customer(f"u{number}@example.com"), "starter")
    await world.new_events()
    first, second = (Reconciler(world.store, world.catalog, world.gateway) for _ in range(2))
    async with world.store.transaction() as tx:
        run = await begin(tx, by_whom="ada", why="", dry_run=False, now=world.store.clock.now_ms())
    run, _ = await first.step(run)
    assert (run.looked, run.different, run.finished_at) == (1, 1, None)

    with pytest.raises(Conflict, match="another process"):
        await second.step(run)
    await first.give_back(run)
    async with world.store.transaction() as tx:
        again = await begin(tx, by_whom="grace", why="", dry_run=False, now=world.store.clock.now_ms())
    assert again == run
    while run.finished_at is None:
        run, _ = await second.step(run)
    assert (run.looked, run.different) == (3, 3)


async def test_stripe_down_stops_the_run_and_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "PAUSES_SECONDS", (0.0,))
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.new_events()
    await world.control("faults", api_errors=[{"status": 503, "count": 1_000}])
    with pytest.raises(Unavailable):
        await run_through(world)
    await world.control("faults", api_errors=[])
    run, _ = await run_through(world)
    assert (run.looked, run.different) == (1, 1)
    assert await world.credits(ada) == 1_000


async def test_every_night_a_worker_compares_all_and_tells_what_differed(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.new_events()
    reconciler = Reconciler(world.store, world.catalog, world.gateway)
    world.store.clock.test_offset_ms += DAY

    run = await run_due(world.store)
    assert run is not None
    assert run.by_whom == "nightly"
    assert await run_due(world.store) == run  # two workers agree on one run
    run, _ = await reconciler.step(run)
    assert run.finished_at is not None
    assert await run_due(world.store) is None
    assert (await world.state(ada)).plan == "starter"
    alerts = [alert for alert in await world.facts("operator.alert") if alert["key"].startswith("reconciliation")]
    assert len(alerts) == 1
    assert "1 differed" in alerts[0]["detail"]

    world.store.clock.test_offset_ms += DAY
    later = await run_due(world.store)
    assert later is not None
    assert later.id != run.id
    later, _ = await reconciler.step(later)
    assert later.different == 0
    async with world.store.reading() as tx:
        assert (await read_run(tx, later.id)).finished_at is not None


async def test_a_customer_whom_stripe_cannot_tell_of_does_not_hold_up_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "PAUSES_SECONDS", ())
    ada, grace = await world.customer(), await world.customer("grace@example.com")
    await world.buy(ada, "starter")
    await world.buy(grace, "starter")
    await world.new_events()
    whole = world.gateway.snapshot
    async with world.store.reading() as tx:
        broken = await reconciling.stripe_id_of(tx, ada)

    async def snapshot(stripe_id: str, *, packs: bool) -> Snapshot:
        if stripe_id == broken:
            raise Unavailable("Stripe's answer has another shape than expected", code="stripe_answer_not_understood")
        return await whole(stripe_id, packs=packs)

    monkeypatch.setattr(world.gateway, "snapshot", snapshot)
    run, found = await run_through(world)
    assert (run.looked, run.different, run.failed) == (2, 1, 1)
    assert [one.customer for one in found if one.error] == [ada]
    assert await world.credits(grace) == 1_000


async def test_a_pack_whose_events_were_lost_is_among_the_differences(world: World) -> None:
    pack = Pack("refill", "Refill", "credits", 500_000, (PackPrice(500, "usd", "tollhouse_pack_refill_once_usd"),))
    world.catalog = msgspec.structs.replace(world.catalog, packs={"refill": pack})
    await actions.ensure_prices(world.store, world.gateway, world.catalog)
    ada = await world.customer()
    payer = await world.payer(ada)
    await world.submit(await actions.start_pack_checkout(world.till, payer, "refill"), PAYS)
    await world.new_events()

    _, shown = await run_through(world, dry_run=True)
    (session,) = [field for field in fields(shown) if field.endswith(" pack refill")]
    assert fields(shown) == {session: ("not granted", "granted"), "credits left": ("100", "600")}
    assert await world.credits(ada) == 100
    await run_through(world)
    assert await world.credits(ada) == 600
    assert (await run_through(world))[0].different == 0
