"""Edges where two rules meet: refunds of holds that expired, and what has lapsed while nobody swept."""

from __future__ import annotations

import pytest

from tests.admission.world import World
from tollhouse.admission.lapsing import read_current


@pytest.mark.row("X5")
@pytest.mark.parametrize("part", [None, {"credits": 20}])
async def test_a_charged_hold_that_was_refunded_is_not_debited_again(world: World, part: object) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "chat", amount={"credits": 60}, ttl="30s", on_expiry="charge")
    world.later(31)
    refund = {"key": "r", "reason": "wrong"} if part is None else {"key": "r", "reason": "wrong", "amount": part}
    await world.ask(f"/v1/admissions/{hold['id']}/refund", refund)
    before = await world.left(ada)

    problem = await world.ask(f"/v1/holds/{hold['id']}/settle", {"amount": {"credits": 60}}, 409)

    assert (problem["code"], problem["how"]) == ("hold_ended", "expired")
    assert await world.left(ada) == before


async def test_an_empty_amount_is_refused_where_the_caller_prices_nothing(world: World) -> None:
    ada = await world.customer("ada")
    body = {"customer": ada, "action": "launch", "amount": {}}

    assert (await world.ask("/v1/admit", body, 422))["code"] == "amount_not_allowed"

    assert (await world.admit(ada, "chat", amount={"credits": 1}))["allowed"]


async def test_what_has_lapsed_is_not_counted_in_a_read_and_the_read_writes_nothing(world: World) -> None:
    ada = await world.customer("ada")
    await world.hold(ada, "film", amount={"credits": 60}, ttl="30s")
    world.later(31)
    assert (await world.admit(ada, "realtime_session"))["allowed"]
    held = await world.hold(ada, "chat", amount={"credits": 40}, ttl="30s")
    assert held["allowed"]
    before = await world.entries(ada)
    world.later(100)

    async with world.house.store.reading() as tx:
        state = await read_current(tx, world.house.catalog, ada, world.now)

    assert state.held == {"concurrent": 0}
    assert sum(lot.remaining for lot in state.lots["credits"]) == 100_000
    assert state.quotas["sessions"].session_ms == 0
    assert await world.entries(ada) == before
    assert await world.sweep() == [ada]
    swept = await world.state(ada)
    assert (swept.held, swept.lots, swept.quotas) == (state.held, state.lots, state.quotas)
