"""Admit: take all of an action's cost or none of it, and say why."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.admission.world import World


async def test_a_launch_takes_its_cost_at_once_and_at_zero_it_is_refused_with_the_plan_that_would_allow_it(
    world: World,
) -> None:
    ada = await world.customer("ada")
    first = await world.admit(ada, "launch")
    assert first["allowed"] is True
    assert first["debits"] == {"credits": 50}
    assert first["meters"]["credits"] == {"total": 100, "used": 50, "remaining": 50, "resets_at": None}
    assert (await world.admit(ada, "launch"))["allowed"] is True
    refused = await world.admit(ada, "launch")
    assert (refused["allowed"], refused["id"]) == (False, None)
    assert refused["reason"] == {
        "code": "credits_exhausted", "meter": "credits", "needed": 50, "remaining": 0, "resets_at": None,
        "upgrade": {"plan": "starter", "url": "/pricing?plan=starter"},
    }  # fmt: skip
    assert [entry.action for entry in await world.entries(ada, "admission")].count("launch") == 2


@pytest.mark.row("X3")
async def test_thousandths_of_a_credit_stay_exact(world: World) -> None:
    ada = await world.customer("ada")
    for _ in range(10):
        assert (await world.admit(ada, "chat", amount={"credits": Decimal("0.001")}))["allowed"]
    assert await world.left(ada) == Decimal("99.99")
    assert (await world.admit(ada, "chat"))["debits"] == {"credits": Decimal("0.5")}
    assert await world.left(ada) == Decimal("99.49")
    problem = await world.ask(
        "/v1/admit", {"customer": ada, "action": "chat", "amount": {"credits": Decimal("0.0001")}}, 422
    )
    assert problem["code"] == "invalid_amount"


@pytest.mark.row("A4")
@pytest.mark.row("A5")
async def test_a_tool_is_debited_by_the_question_whether_it_may_be_launched(world: World) -> None:
    ada = await world.customer("ada")
    launch = {"tool": "app-builder", "user_id": ada, "key": "click-1"}
    first = await world.ask("/api/validate-tool-access", launch)
    assert (first["allowed"], first["debits"]) == (True, {"credits": 50})
    assert (await world.ask("/api/validate-tool-access", launch)) == {**first, "replayed": True}
    await world.ask("/api/validate-tool-access", {**launch, "key": "click-2"})
    refused = await world.ask("/api/validate-tool-access", {**launch, "key": "click-3"}, status=403)
    assert refused["code"] == "credits_exhausted"
    assert (refused["needed"], refused["remaining"]) == (50, 0)
    entries = await world.entries(ada, "admission")
    assert [entry.action for entry in entries if entry.action != "create_project"] == ["launch_tool_app-builder"] * 2


async def test_all_meters_are_taken_or_none(world: World) -> None:
    ada = await world.customer("ada")
    await world.admit(ada, "realtime_session")
    refused = await world.admit(ada, "realtime_session")
    assert refused["reason"]["code"] == "concurrency_exhausted"
    meters = await world.meters(ada)
    assert (meters["sessions"]["used"], meters["requests"]["used"], meters["concurrent"]["used"]) == (1, 1, 1)


async def test_the_amount_is_taken_from_the_caller_only_where_the_catalogue_says_so(world: World) -> None:
    ada = await world.customer("ada")
    named = await world.admit(ada, "chat", amount={"credits": Decimal("12.5")})
    assert named["debits"] == {"credits": Decimal("12.5")}
    for body, code in (
        ({"action": "launch", "amount": {"credits": 1}}, "amount_not_allowed"),
        ({"action": "chat", "amount": {"sessions": 1}}, "amount_not_allowed"),
        ({"action": "chat", "amount": {"credits": -1}}, "invalid_amount"),
        ({"action": "chat", "amount": {"credits": 2**53}}, "invalid_amount"),
        ({"action": "fly"}, "unknown_action"),
    ):
        assert (await world.ask("/v1/admit", {"customer": ada, **body}, 422))["code"] == code
    assert await world.left(ada) == Decimal("87.5")


async def test_a_customer_that_nobody_knows_is_404(world: World) -> None:
    for customer in ("cus_00000000000000000000000000", "nobody"):
        problem = await world.ask("/v1/admit", {"customer": customer, "action": "launch"}, 404)
        assert problem["code"] == "customer_not_found"


async def test_a_customer_may_be_meant_by_the_products_own_id(world: World) -> None:
    ada = await world.customer("ada")
    assert (await world.admit("ada", "launch"))["allowed"]
    assert await world.left(ada) == 50


async def test_check_says_what_admit_would_say_and_debits_nothing(world: World) -> None:
    ada = await world.customer("ada")
    would = await world.ask("/v1/check", {"customer": ada, "action": "realtime_session"})
    assert (would["allowed"], would["id"]) == (True, None)
    assert "lease" not in would
    before = await world.entries(ada)
    for _ in range(3):
        assert (await world.ask("/v1/check", {"customer": ada, "action": "launch"}))["allowed"]
    await world.admit(ada, "launch")
    await world.admit(ada, "launch")
    assert (await world.ask("/v1/check", {"customer": ada, "action": "launch"}))["reason"][
        "code"
    ] == "credits_exhausted"
    assert len(await world.entries(ada)) == len(before) + 2


async def test_refusals_are_counted_by_the_minute_and_write_no_entry(world: World) -> None:
    ada = await world.customer("ada")
    before = len(await world.entries(ada))
    for _ in range(5):
        await world.admit(ada, "film", amount={"credits": 101})
    await world.admit(ada, "render")
    assert len(await world.entries(ada)) == before
    await world.house.admission.refusals.flush(world.house.store)
    await world.admit(ada, "render")
    await world.house.admission.refusals.flush(world.house.store)
    rows = await world.rows(
        "select action, reason, sum(refused) as n from refusal group by action, reason order by action"
    )
    assert [(row["action"], row["reason"], int(row["n"])) for row in rows] == [
        ("film", "credits_exhausted", 5),
        ("render", "plan_lacks_action", 2),
    ]


async def test_refusals_of_a_customer_that_stands_aside_are_counted_too(world: World) -> None:
    ada = await world.customer("ada")
    await world.hold(ada, "launch", ttl="1s", on_expiry="charge")
    world.later(2)
    world.house.admission.forget(ada)
    assert not (await world.admit(ada, "film", amount={"credits": 51}))["allowed"]
    assert await world.house.admission.refusals.flush(world.house.store) == 1
