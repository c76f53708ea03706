"""Leases: slots kept by a heartbeat, given back at the end, lost by silence, taken again when one is free."""

from __future__ import annotations

import pytest

from tests.admission.world import World
from tollhouse.kernel.clock import parse_rfc3339


async def start(world: World, customer: str, key: str | None = None) -> str:
    """A realtime session; its admission."""
    answer = await world.admit(customer, "realtime_session", key)
    assert answer["allowed"], answer
    assert answer["lease"]["heartbeat_every"] == 30
    admission: str = answer["id"]
    return admission


async def minutes_used(world: World, customer: str) -> int:
    usage = await world.get(f"/billing/usage?user_id={customer}")
    minutes: int = usage["minutesUsed"]
    return minutes


async def test_heartbeats_keep_a_slot_as_long_as_they_come(world: World) -> None:
    ada = await world.customer("ada")
    session = await start(world, ada)
    before = len(await world.entries(ada))
    for _ in range(10):
        world.later(60)
        kept = await world.ask(f"/v1/admissions/{session}/heartbeat")
        assert parse_rfc3339(kept["lease"]["expires_at"]) - world.now == pytest.approx(90_000, abs=5_000)
        assert await world.sweep() == []
    assert (await world.admit(ada, "realtime_session"))["reason"]["code"] == "concurrency_exhausted"
    assert len(await world.entries(ada)) == before, "a heartbeat writes no entry"


async def test_an_ended_session_frees_its_slot_once_and_counts_its_minutes(world: World) -> None:
    ada = await world.customer("ada")
    session = await start(world, ada)
    world.later(60)
    await world.ask(f"/v1/admissions/{session}/heartbeat")
    world.later(65)
    ended = await world.ask(f"/v1/admissions/{session}/end")
    assert ended["seconds"] == 125
    assert ended["meters"]["concurrent"]["used"] == 0
    assert await minutes_used(world, ada) == 2
    world.later(30)
    again = await world.ask(f"/v1/admissions/{session}/end")
    assert (again["seconds"], again["ended_at"]) == (125, ended["ended_at"])
    assert await minutes_used(world, ada) == 2
    lost = await world.ask(f"/v1/admissions/{session}/heartbeat", status=410)
    assert lost["code"] == "lease_lost"
    assert len(await world.entries(ada, "lease_end")) == 1


async def test_a_session_that_falls_silent_comes_back_once_charged_to_its_last_heartbeat(world: World) -> None:
    """Promise 6."""
    ada = await world.customer("ada")
    session = await start(world, ada)
    world.later(80)
    kept = await world.ask(f"/v1/admissions/{session}/heartbeat")
    world.later(1_000)
    assert await world.sweep() == [ada]
    assert await world.sweep() == []
    (lapse,) = await world.entries(ada, "lease_lapse")
    assert lapse.at == parse_rfc3339(kept["lease"]["expires_at"])
    assert await minutes_used(world, ada) == 1, "80 seconds, not the 90 after them, nor the thousand"
    ended = await world.ask(f"/v1/admissions/{session}/end")
    assert ended["seconds"] == 80
    assert await minutes_used(world, ada) == 1
    assert (await world.meters(ada))["concurrent"]["used"] == 0


async def test_a_late_heartbeat_takes_a_free_slot_again(world: World) -> None:
    ada = await world.customer("ada")
    session = await start(world, ada)
    world.later(95)
    again = await world.ask(f"/v1/admissions/{session}/heartbeat")
    assert again["retaken"] is True
    assert (await world.admit(ada, "realtime_session"))["reason"]["code"] == "concurrency_exhausted"
    world.later(60)
    ended = await world.ask(f"/v1/admissions/{session}/end")
    assert ended["seconds"] == 60, "what came before the loss is counted already"
    assert await minutes_used(world, ada) == 1
    assert (await world.meters(ada))["concurrent"]["used"] == 0


async def test_a_late_heartbeat_without_a_free_slot_is_410(world: World) -> None:
    ada = await world.customer("ada")
    first = await start(world, ada)
    world.later(95)
    second = await start(world, ada)
    lost = await world.ask(f"/v1/admissions/{first}/heartbeat", status=410)
    assert lost["code"] == "lease_lost"
    assert (await world.ask(f"/v1/admissions/{second}/heartbeat"))["retaken"] is False
    assert (await world.meters(ada))["concurrent"]["used"] == 1


async def test_only_admissions_with_a_slot_can_be_kept_or_ended(world: World) -> None:
    ada = await world.customer("ada")
    without = (await world.admit(ada, "launch"))["id"]
    for admission in (without, "adm_x", without[:-1] + "z"):
        for call in ("heartbeat", "end"):
            assert (await world.ask(f"/v1/admissions/{admission}/{call}", status=404))["code"] == "lease_not_found"


async def test_minutes_belong_to_the_period_in_which_the_session_began(world: World) -> None:
    ada = await world.customer("ada")
    session = await start(world, ada)
    turn = (await world.state(ada)).quotas["sessions"].end
    for _ in range(3):
        world.later(80)
        await world.ask(f"/v1/admissions/{session}/heartbeat")
    world.later((turn - world.now) / 1000 - 30)
    await world.ask(f"/v1/admissions/{session}/heartbeat")
    world.later(60)
    await world.ask(f"/v1/admissions/{session}/end")
    assert await minutes_used(world, ada) == 0
