"""The five kinds of meter, each at its limit; unlimited; what a plan does not name; downgrades (rules 10 and 11)."""

from __future__ import annotations

import pytest

from tests.admission.world import DAY, MINUTE, World, opened
from tests.support.product import TOML


@pytest.mark.row("S10")
async def test_a_quota_counts_down_to_zero_refuses_and_comes_back_when_its_period_turns(world: World) -> None:
    ada = await world.customer("ada")
    track = {"customer": ada, "action": "track"}
    await world.ask("/v1/admit/batch", {"items": [track] * 95})
    assert (await world.meters(ada))["sessions"]["remaining"] == 5
    await world.ask("/v1/admit/batch", {"items": [track] * 5})
    refused = await world.admit(ada, "track")
    assert refused["reason"]["code"] == "quota_exhausted"
    assert refused["reason"]["remaining"] == 0
    assert refused["reason"]["upgrade"]["plan"] == "starter"
    assert refused["meters"]["sessions"]["used"] == 100
    world.later(32 * DAY)
    assert (await world.admit(ada, "track"))["meters"]["sessions"]["remaining"] == 99


@pytest.mark.row("S6")
async def test_usage_is_told_in_the_runbooks_shape_by_either_id(world: World) -> None:
    ada = await world.customer("user_123")
    admission = (await world.admit(ada, "realtime_session"))["id"]
    world.later(75)
    await world.ask(f"/v1/admissions/{admission}/end")
    usage = await world.get("/billing/usage?user_id=user_123")
    assert usage == {
        "plan": "free", "sessionsIncluded": 100, "sessionsUsed": 1, "sessionsRemaining": 99, "estimatedMinutes": 200,
        "minutesUsed": 1, "percentUsed": 1, "rateLimit": {"requestsPerMinute": 6, "concurrent": 1},
    }  # fmt: skip
    assert await world.get(f"/billing/usage?user_id={ada}") == usage


@pytest.mark.row("S11")
async def test_a_session_is_tracked_once_however_often_its_start_is_reported(world: World) -> None:
    ada = await world.customer("ada")
    about = {"project": "prj_1", "user": "user_9"}
    answers = [await world.admit(ada, "track", "ses_1", metadata=about) for _ in range(4)]
    assert [answer["replayed"] for answer in answers] == [False, True, True, True]
    entries = [entry for entry in await world.entries(ada, "admission") if entry.action == "track"]
    assert [entry.metadata for entry in entries] == ['{"project":"prj_1","user":"user_9"}']
    assert (await world.meters(ada))["sessions"]["used"] == 1


async def test_a_rate_never_passes_its_limit_in_any_window_and_says_when_to_come_again(world: World) -> None:
    """Rule 11: the current sixth and the six before it."""
    ada = await world.customer("ada")
    world.later((69_000 - world.now % 60_000) / 1000)  # late in a sixth: it leaves the window as late as any
    allowed_at: list[int] = []
    for _ in range(200):
        if (await world.admit(ada, "ping"))["allowed"]:
            allowed_at.append(world.now)
        else:
            world.later(1)
    assert len(allowed_at) >= 12
    for start in allowed_at:
        assert sum(1 for at in allowed_at if start <= at < start + 60_000) <= 6
    while (await world.admit(ada, "ping"))["allowed"]:
        pass
    refused = await world.admit(ada, "ping")
    assert refused["reason"]["code"] == "rate_limited"
    wait = refused["reason"]["retry_after"]
    assert 1 <= wait <= 70
    world.later(wait)
    assert (await world.admit(ada, "ping"))["allowed"]


async def test_the_rate_stands_in_the_header(world: World) -> None:
    ada = await world.customer("ada")
    answer = await world.post("/v1/admit", {"customer": ada, "action": "ping"})
    assert answer.headers["ratelimit"].startswith('"requests";r=5;t=')


@pytest.mark.row("S3")
async def test_one_more_project_than_the_plan_has_is_refused_with_the_plan_that_allows_it(world: World) -> None:
    ada = await world.customer("ada")
    for plan, room, above in (("free", 0, "starter"), ("starter", 2, "pro"), ("pro", 7, None)):
        if plan != "free":
            await world.subscribe(ada, plan)
        for number in range(room):
            await world.ask(f"/v1/customers/{ada}/projects", {"name": f"{plan} {number}"}, 201)
        problem = await world.ask(f"/v1/customers/{ada}/projects", {"name": "too many"}, 403)
        assert problem["code"] == "count_exhausted"
        assert problem.get("upgrade", {}).get("plan") == above
    assert (await world.meters(ada))["projects"]["used"] == 10


async def test_unlimited_admits_everything_and_says_null(world: World) -> None:
    """Rule 10: unlimited is written so, and shown as null."""
    ada = await world.customer("ada", plan="pro")
    await world.ask("/v1/admit/batch", {"items": [{"customer": ada, "action": "realtime_session"}] * 40})
    answer = await world.admit(ada, "realtime_session")
    assert answer["meters"]["sessions"]["used"] == 41
    assert all(answer["meters"][name]["remaining"] is None for name in ("sessions", "requests", "concurrent"))
    assert (await world.ask("/v1/check", {"customer": ada, "action": "export"}))["allowed"]


async def test_what_the_plan_does_not_name_is_refused(world: World) -> None:
    """Rule 10: a meter that an action costs and the plan does not name."""
    ada = await world.customer("ada")
    refused = await world.admit(ada, "render")
    assert refused["reason"]["code"] == "plan_lacks_action"
    assert refused["reason"]["upgrade"]["plan"] == "starter"


async def test_a_downgrade_takes_nothing_away_and_admits_nothing_more(world: World) -> None:
    """Rule 10: used may be more than the new limit; what is left is 0, never below."""
    ada = await world.customer("ada", plan="starter")
    await world.ask("/v1/admit/batch", {"items": [{"customer": ada, "action": "track"}] * 150})
    await world.subscribe(ada, "free")
    refused = await world.admit(ada, "track")
    assert refused["reason"]["code"] == "quota_exhausted"
    assert refused["meters"]["sessions"] | {"resets_at": None} == {
        "total": 100, "used": 150, "remaining": 0, "resets_at": None,
    }  # fmt: skip


@pytest.mark.parametrize(("standing", "code"), [("past_due", "subscription_past_due"), ("blocked", "customer_blocked")])
async def test_standing_refuses_everything_whatever_is_left(world: World, standing: str, code: str) -> None:
    ada = await world.customer("ada", plan="pro")
    assert (await world.admit(ada, "launch"))["allowed"]
    await world.subscribe(ada, "pro", standing=standing)  # type: ignore[arg-type]
    for answer in (await world.admit(ada, "launch"), await world.hold(ada, "track")):
        assert answer["reason"]["code"] == code
        assert "upgrade" not in answer["reason"]
    assert (await world.ask("/v1/check", {"customer": ada, "action": "ping"}))["reason"]["code"] == code
    await world.subscribe(ada, "pro")
    assert (await world.admit(ada, "launch"))["allowed"]


async def test_a_slot_that_is_not_kept_comes_back_after_its_time(world: World) -> None:
    ada = await world.customer("ada")
    assert (await world.admit(ada, "realtime_session"))["allowed"]
    assert not (await world.admit(ada, "realtime_session"))["allowed"]
    world.later(MINUTE)
    assert not (await world.admit(ada, "realtime_session"))["allowed"]
    world.later(31)
    assert (await world.admit(ada, "realtime_session"))["allowed"]


async def test_unlimited_ends_where_numbers_stop_being_exact(schema_url: str) -> None:
    toml = TOML.replace("cost = { exports = 1 }", 'cost = { exports = 1 }\npriced_by = ["exports"]')
    async with opened(schema_url, toml) as world:
        ada = await world.customer("ada", plan="pro")
        huge = {"exports": 2**53 - 2}
        assert (await world.admit(ada, "export", amount=huge))["allowed"]
        assert (await world.admit(ada, "export"))["meters"]["exports"]["used"] == 2**53 - 1
        refused = await world.admit(ada, "export", amount=huge)
        assert refused["reason"]["code"] == "quota_exhausted"
        assert await world.books.findings() == []
