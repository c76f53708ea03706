"""Refunds: whole or in parts, never more than was taken, to the lot and period it came from (rule 9)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.admission.world import DAY, World
from tollhouse.kernel.clock import rfc3339

pytestmark = pytest.mark.row("X5")


async def refund(world: World, admission: str, key: str, amount: object = None, status: int = 200) -> Any:
    body: dict[str, object] = {"key": key, "reason": "it failed"}
    return await world.ask(
        f"/v1/admissions/{admission}/refund", body if amount is None else {**body, "amount": amount}, status
    )


async def test_a_whole_refund_gives_back_all_that_can_come_back(world: World) -> None:
    ada = await world.customer("ada")
    admission = (await world.admit(ada, "launch"))["id"]
    answer = await refund(world, admission, "r1")
    assert (answer["returned"], answer["lost"]) == ({"credits": 50}, {})
    assert await world.left(ada) == 100
    assert (await refund(world, admission, "r1")) == {**answer, "replayed": True}
    problem = await refund(world, admission, "r2", status=409)
    assert problem["code"] == "refund_exceeds"
    assert await world.left(ada) == 100


async def test_parts_add_up_to_what_was_taken_and_no_further(world: World) -> None:
    ada = await world.customer("ada")
    admission = (await world.admit(ada, "launch"))["id"]
    await refund(world, admission, "r1", {"credits": 20})
    await refund(world, admission, "r2", Decimal("10.5"))
    problem = await refund(world, admission, "r3", {"credits": 20}, status=409)
    assert (problem["code"], problem["remaining"]) == ("refund_exceeds", Decimal("19.5"))
    assert (await refund(world, admission, "r4"))["returned"] == {"credits": Decimal("19.5")}
    assert await world.left(ada) == 100
    (first, _, _) = await world.entries(ada, "return")
    assert first.target == (await world.books.admissions(ada))[0].seq


async def test_the_key_of_a_refund_belongs_to_its_request(world: World) -> None:
    ada = await world.customer("ada")
    one, two = [(await world.admit(ada, "launch"))["id"] for _ in range(2)]
    await refund(world, one, "r", {"credits": 5})
    for admission, amount in ((one, {"credits": 6}), (one, None), (two, {"credits": 5})):
        problem = await refund(world, admission, "r", amount, status=422)
        assert problem["code"] == "idempotency_key_reused"
    assert (await world.ask(f"/v1/admissions/{one}/refund", {"reason": "no key"}, 422))["code"] == "key_required"
    assert await world.left(ada) == 5


async def test_what_an_expired_lot_gave_stays_lost(world: World) -> None:
    """Rule 9: an expired lot stays expired."""
    ada = await world.customer("ada")
    await world.grant(ada, 30, "short", expires_at=rfc3339(world.now + 3_600_000))
    admission = (await world.admit(ada, "launch"))["id"]
    assert await world.left(ada) == 80
    world.later(3_700)
    answer = await refund(world, admission, "r")
    assert (answer["returned"], answer["lost"]) == ({"credits": 50}, {"credits": 30})
    assert await world.left(ada) == 100
    assert (await refund(world, admission, "again", status=409))["code"] == "refund_exceeds"


async def test_credits_go_back_to_the_lot_they_came_from(world: World) -> None:
    """Rule 9: also to a lot that was spent and had left the account."""
    ada = await world.customer("ada")
    lot = (await world.grant(ada, 30, "short", expires_at=rfc3339(world.now + 3_600_000)))["lot"]
    admission = (await world.admit(ada, "chat", amount={"credits": 30}))["id"]
    assert lot not in [lot.id for lot in (await world.state(ada)).lots["credits"]]
    await refund(world, admission, "r", {"credits": 10})
    (back,) = [held for held in (await world.state(ada)).lots["credits"] if held.id == lot]
    assert (back.amount, back.used) == (30_000, 20_000)
    world.later(3_700)
    assert await world.left(ada) == 100


async def test_an_old_period_never_lowers_the_new_one(world: World) -> None:
    """Rule 9: a session of last month does not give this month one more."""
    ada = await world.customer("ada")
    admission = (await world.admit(ada, "track"))["id"]
    world.later(32 * DAY)
    await world.admit(ada, "track")
    answer = await refund(world, admission, "r")
    assert answer["lost"] == {"sessions": 1}
    assert (await world.meters(ada))["sessions"]["used"] == 1
    fresh = (await world.admit(ada, "track"))["id"]
    await refund(world, fresh, "r2")
    assert (await world.meters(ada))["sessions"]["used"] == 1


async def test_a_replaced_plan_lot_does_not_come_back(world: World) -> None:
    """Rule 9: Starter's credits replace the sign-up's; a refund of before gives nothing on top."""
    ada = await world.customer("ada")
    admission = (await world.admit(ada, "launch"))["id"]
    await world.subscribe(ada, "starter")
    await world.pay(ada, "starter", "in_1")
    assert (await world.meters(ada))["credits"]["total"] == 1000
    assert (await refund(world, admission, "r"))["lost"] == {"credits": 50}
    assert await world.left(ada) == 1000


async def test_requests_that_were_made_stay_made_and_slots_come_back_by_their_lease(world: World) -> None:
    ada = await world.customer("ada")
    admission = (await world.admit(ada, "realtime_session"))["id"]
    answer = await refund(world, admission, "r")
    assert answer["returned"] == {"sessions": 1}
    meters = await world.meters(ada)
    assert (meters["sessions"]["used"], meters["requests"]["used"], meters["concurrent"]["used"]) == (0, 1, 1)
    assert (await refund(world, admission, "r2", {"requests": 1}, 409))["code"] == "refund_exceeds"


async def test_a_settled_hold_can_be_refunded_an_open_one_not(world: World) -> None:
    ada = await world.customer("ada")
    hold = (await world.hold(ada, "chat", amount={"credits": 60}))["id"]
    assert (await refund(world, hold, "r", status=409))["code"] == "hold_open"
    await world.ask(f"/v1/holds/{hold}/settle", {"amount": {"credits": 80}})
    assert (await refund(world, hold, "r2", {"credits": 81}, 409))["code"] == "refund_exceeds"
    assert (await refund(world, hold, "r3"))["returned"] == {"credits": 80}
    assert await world.left(ada) == 100


async def test_what_is_no_admission_is_404(world: World) -> None:
    ada = await world.customer("ada")
    hold = (await world.hold(ada, "launch"))["id"]
    for admission in ("adm_x", "adm_" + hold[4:], "ent_" + hold[4:], hold[:-1] + "9"):
        assert (await refund(world, admission, "r", status=404))["code"] == "admission_not_found"
