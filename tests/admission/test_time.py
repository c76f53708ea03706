"""What time alone does, dated at its boundaries (rules 7 and 8), and clocks that cannot be believed (rule 6)."""

from __future__ import annotations

import asyncio

import pytest

from tests.admission.world import DAY, World
from tollhouse.kernel.clock import rfc3339
from tollhouse.worker.sweeping import sweep_accounts


async def test_an_idle_customer_over_three_turns_and_two_expiries_has_one_entry_for_each(world: World) -> None:
    """Rule 7: one entry per period passed and per lot expired, each dated at its boundary, in the order of time."""
    ada = await world.customer("ada")
    anchor = (await world.state(ada)).anchor
    await world.admit(ada, "export")
    expiries = [anchor + 36 * 3_600_000, anchor + 60 * 3_600_000]
    for number, at in enumerate(expiries):
        await world.grant(ada, 10, f"lot-{number}", expires_at=rfc3339(at))
    seen = len(await world.entries(ada))
    world.later((anchor + 80 * 3_600_000 - world.now) / 1000)
    assert (await world.admit(ada, "export"))["meters"]["exports"]["used"] == 1
    *told, admitted = (await world.entries(ada))[seen:]
    day = 86_400_000
    assert [(entry.kind, entry.at) for entry in told] == [
        ("turn", anchor + day), ("expiry", expiries[0]), ("turn", anchor + 2 * day), ("expiry", expiries[1]),
        ("turn", anchor + 3 * day),
    ]  # fmt: skip
    assert (admitted.kind, await world.left(ada)) == ("admission", 100)


async def test_the_sweeper_does_the_same_without_any_request_and_once(world: World) -> None:
    """Rule 7: an indexed next_due lets idle customers be brought on."""
    ada, eve = await world.customer("ada"), await world.customer("eve")
    await world.grant(ada, 10, "lot", expires_at=rfc3339(world.now + 3_600_000))
    world.later(2 * DAY + 60)
    for _ in range(2):
        await sweep_accounts(world.house.store, world.house.catalog)
    assert [entry.kind for entry in await world.entries(ada)].count("turn") == 2
    assert [entry.kind for entry in await world.entries(eve)].count("turn") == 2
    assert len(await world.entries(ada, "expiry")) == 1
    assert (await world.admit(ada, "export"))["allowed"], "the copy in memory was not the truth any more"
    assert [entry.kind for entry in await world.entries(ada)].count("turn") == 2


async def test_two_processes_that_sweep_and_serve_at_once_write_each_boundary_once(world: World, other: World) -> None:
    """Rules 2 and 7: whoever comes first dates the turn, the others find it done."""
    people = [await world.customer(f"person-{number}") for number in range(6)]
    for person in people:
        await world.grant(person, 10, "lot", expires_at=rfc3339(world.now + 3_600_000))
        for house in (world, other):
            assert (await house.admit(person, "spend"))["allowed"]
    for house in (world, other):
        house.later(3 * DAY + 60)
    await asyncio.gather(
        *(sweep_accounts(house.house.store, house.house.catalog) for house in (world, other) for _ in range(2)),
        *(house.admit(person, "export") for house in (world, other) for person in people),
    )
    for person in people:
        kinds = [entry.kind for entry in await world.entries(person)]
        assert (kinds.count("turn"), kinds.count("expiry")) == (3, 1)
        assert (await world.meters(person))["exports"]["used"] == 2


async def test_a_refusal_writes_no_turn_and_a_look_shows_it_all_the_same(world: World) -> None:
    ada = await world.customer("ada")
    await world.ask("/v1/admit/batch", {"items": [{"customer": ada, "action": "export"}] * 3})
    world.later(DAY + 60)
    before = len(await world.entries(ada))
    assert not (await world.admit(ada, "render"))["allowed"]
    assert (await world.meters(ada))["exports"]["used"] == 0
    assert len(await world.entries(ada)) == before
    assert (await world.admit(ada, "export"))["allowed"]
    assert [entry.kind for entry in (await world.entries(ada))[before:]] == ["turn", "admission"]


async def test_a_paid_period_never_lowers_what_was_used_in_it(world: World) -> None:
    """Rule 8: the invoice finds its period open and adds its lots, once."""
    ada = await world.customer("ada", plan="starter")
    await world.ask("/v1/admit/batch", {"items": [{"customer": ada, "action": "track"}] * 7})
    for _ in range(2):
        await world.pay(ada, "starter", "in_1")
    meters = await world.meters(ada)
    assert meters["sessions"]["used"] == 7
    assert meters["credits"]["total"] == 1000


async def test_a_known_cancellation_date_turns_to_the_free_plan_by_itself(world: World) -> None:
    """Rule 8."""
    ada = await world.customer("ada")
    await world.subscribe(ada, "starter", ends_at=world.now + 86_400_000)
    assert (await world.admit(ada, "realtime_session"))["meters"]["concurrent"]["total"] == 5
    world.later(DAY + 60)
    assert (await world.admit(ada, "realtime_session"))["meters"]["concurrent"]["total"] == 1
    (ended,) = [entry for entry in await world.entries(ada, "plan") if entry.action == "plan_ended"]
    assert ended.at <= world.now - 50_000


@pytest.mark.parametrize("path", ["/v1/admit", "/v1/holds", "/v1/check"])
async def test_an_account_decided_far_ahead_of_the_clock_is_left_alone(world: World, path: str) -> None:
    """Rule 6: 10 s ahead writes nothing and answers 503; up to 5 s the account's own time goes on."""
    ada = await world.customer("ada")
    world.later(4)
    assert (await world.admit(ada, "spend"))["allowed"]
    world.later(-4)
    assert (await world.admit(ada, "spend"))["allowed"]
    times = [entry.at for entry in await world.entries(ada)]
    assert times == sorted(times)
    world.later(10)
    assert (await world.admit(ada, "spend"))["allowed"]
    world.later(-10)
    before = await world.entries(ada)
    problem = await world.ask(path, {"customer": ada, "action": "launch"}, 503)
    assert problem["code"] == "clock_disagrees"
    assert await world.entries(ada) == before
    world.later(10)


async def test_a_clock_that_jumps_is_not_believed_and_nothing_is_written_meanwhile(world: World) -> None:
    """Rule 6: an offset that jumps by more than 5 s; three measurements that agree are believed again."""
    ada = await world.customer("ada")
    admission = (await world.admit(ada, "launch"))["id"]
    before = await world.entries(ada)
    clock = world.house.store.clock

    def measure(ahead_ms: int) -> None:
        at = clock.monotonic_ms()
        clock.measured(world.now + ahead_ms, at, at)

    measure(4_000)
    assert clock.trusted
    at = clock.monotonic_ms()
    clock.measured(world.now + 60_000, at, at + 5_001)
    assert clock.trusted, "a measurement that took so long says nothing"
    measure(10_000)
    assert not clock.trusted
    for path, body in (
        ("/v1/admit", {"customer": ada, "action": "spend"}),
        ("/v1/holds", {"customer": ada, "action": "spend"}),
        (f"/v1/admissions/{admission}/refund", {"key": "r", "reason": "no"}),
        (f"/v1/customers/{ada}/grants", {"meter": "credits", "amount": 1, "key": "g", "reason": "no"}),
    ):
        assert (await world.ask(path, body, 503))["code"] == "clock_disagrees"
    assert await world.entries(ada) == before
    assert (await world.get(f"/v1/customers/{ada}"))["meters"]["credits"]["remaining"] == 50
    measure(10_000)
    assert not clock.trusted
    measure(10_000)
    assert clock.trusted
    assert (await world.admit(ada, "spend"))["allowed"]
