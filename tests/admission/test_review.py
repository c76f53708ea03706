"""Edges where two rules meet: refunds of holds that expired, and what has lapsed while nobody swept."""

from __future__ import annotations

import pytest

from tests.admission.world import World, opened
from tests.support.product import TOML
from tollhouse.admission.lapsing import read_current
from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.kernel.ids import entry_id


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


@pytest.mark.row("S3")
async def test_what_a_project_took_cannot_be_refunded_while_the_project_stays(world: World) -> None:
    ada = await world.customer("ada")
    (owned,) = await world.entries(ada, "owned")
    assert owned.action == "create_project"
    shown = [entry["id"] for entry in (await world.get(f"/v1/customers/{ada}/entries"))["entries"]]
    assert entry_id("ent", ada, owned.seq) in shown

    for prefix in ("adm", "hld"):
        refund = f"/v1/admissions/{entry_id(prefix, ada, owned.seq)}/refund"
        problem = await world.ask(refund, {"key": "r", "reason": "wrong"}, 404)
        assert problem["code"] == "admission_not_found"
    assert (await world.meters(ada))["projects"]["used"] == 1


async def test_a_rate_says_when_something_of_it_comes_back(world: World) -> None:
    """The sixth that was used leaves the window as the seventh before the current one."""
    ada = await world.customer("ada")
    world.later((61_000 - world.now % 60_000) / 1000)  # early in a sixth
    first = world.now
    answer = await world.post("/v1/admit", {"customer": ada, "action": "ping"})
    back_at = parse_rfc3339(answer.json()["meters"]["requests"]["resets_at"])
    assert back_at == first // 10_000 * 10_000 + 70_000
    seconds = int(answer.headers["ratelimit"].rpartition("t=")[2])
    assert seconds == pytest.approx((back_at - first) / 1000, abs=3)
    world.later(25)
    second = await world.admit(ada, "ping")
    assert parse_rfc3339(second["meters"]["requests"]["resets_at"]) == back_at, "the oldest comes back first"

    world.later((back_at - 1 - world.now) / 1000 - 3)
    assert (await world.meters(ada))["requests"]["used"] == 2
    world.later((back_at - world.now) / 1000)
    assert (await world.meters(ada))["requests"]["used"] == 1


async def test_a_lapsed_slot_is_not_shown_before_anybody_swept(world: World) -> None:
    ada = await world.customer("ada")
    await world.admit(ada, "realtime_session")
    await world.hold(ada, "chat", amount={"credits": 60}, ttl="30s")
    world.later(200)

    meters = await world.meters(ada)

    assert (meters["concurrent"]["used"], meters["credits"]["used"]) == (0, 0)
    assert await world.entries(ada, "lease_lapse") == []
    assert await world.sweep() == [ada]


async def test_a_project_is_not_refused_for_what_a_lapsed_hold_still_keeps(schema_url: str) -> None:
    """Its action costs credits as well: all of them were held, by a hold that nobody settled."""
    toml = TOML.replace("cost = { projects = 1 }", "cost = { projects = 1, credits = 100 }")
    async with opened(schema_url, toml) as world:
        ada = await world.customer("ada", plan="starter")
        await world.hold(ada, "chat", amount={"credits": await world.left(ada)}, ttl="30s")
        await world.ask(f"/v1/customers/{ada}/projects", {"name": "too early"}, 403)
        world.later(31)

        await world.ask(f"/v1/customers/{ada}/projects", {"name": "Lost and found"}, 201)

        assert (await world.meters(ada))["projects"]["used"] == 2
        assert await world.books.findings() == []
