"""Holds: debited now, settled later, extended, released, or left to expire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.admission.world import World
from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.ledger.book import metadata_of

pytestmark = pytest.mark.row("X5")


async def settle(world: World, hold: str, amount: object, status: int = 200) -> Any:
    return await world.ask(f"/v1/holds/{hold}/settle", {"amount": {"credits": amount}}, status)


async def test_a_hold_debits_at_once_and_settling_for_less_gives_the_rest_back(world: World) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "chat", "call-1", amount={"credits": 60}, ttl="60s")
    assert hold["id"].startswith("hld_")
    assert parse_rfc3339(hold["expires_at"]) - world.now == pytest.approx(60_000, abs=5_000)
    assert await world.left(ada) == 40
    settled = await settle(world, hold["id"], Decimal("12.345"))
    assert settled["charged"] == {"credits": Decimal("12.345")}
    assert settled["returned"] == {"credits": Decimal("47.655")}
    assert settled["shortfall"] == {}
    assert await world.left(ada) == Decimal("87.655")


async def test_settling_for_more_debits_down_to_zero_and_tells_the_shortfall(world: World) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "chat", amount={"credits": 60})
    settled = await settle(world, hold["id"], 130)
    assert settled["charged"] == {"credits": 100}
    assert settled["shortfall"] == {"credits": 30}
    assert await world.left(ada) == 0


async def test_settling_again_is_the_same_answer_and_another_amount_is_409(world: World) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "chat", amount={"credits": 60})
    first = await settle(world, hold["id"], 10)
    assert await settle(world, hold["id"], 10) == {**first, "replayed": True}
    problem = await settle(world, hold["id"], 11, status=409)
    assert (problem["code"], problem["how"]) == ("hold_ended", "settled")
    assert await world.left(ada) == 90


async def test_a_released_hold_gives_everything_back_and_has_ended(world: World) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "film", amount={"credits": 60})
    assert (await world.meters(ada))["concurrent"]["used"] == 1
    released = await world.ask(f"/v1/holds/{hold['id']}/release")
    assert released["returned"]["credits"] == 60
    meters = await world.meters(ada)
    assert (meters["credits"]["used"], meters["concurrent"]["used"], meters["exports"]["used"]) == (0, 0, 0)
    again = await world.ask(f"/v1/holds/{hold['id']}/release")
    assert again == {**released, "replayed": True}
    for call, body in (("settle", {"amount": {}}), ("extend", {"ttl": "5s"})):
        problem = await world.ask(f"/v1/holds/{hold['id']}/{call}", body, 409)
        assert (problem["code"], problem["how"]) == ("hold_ended", "released")


async def test_an_extended_hold_lasts_longer(world: World) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "chat", amount={"credits": 60}, ttl="60s")
    world.later(50)
    await world.ask(f"/v1/holds/{hold['id']}/extend", {"ttl": "60s"})
    world.later(50)
    assert await world.sweep() == []
    assert await world.left(ada) == 40
    world.later(11)
    assert await world.sweep() == [ada]
    assert await world.left(ada) == 100
    problem = await world.ask(f"/v1/holds/{hold['id']}/extend", {"ttl": "60s"}, 409)
    assert problem["how"] == "expired"


@pytest.mark.parametrize(("on_expiry", "left"), [("return", 100), ("charge", 40)])
async def test_a_hold_that_nobody_settles_expires_as_its_maker_said_once_and_dated_when_it_did(
    world: World, on_expiry: str, left: int
) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "film", amount={"credits": 60}, ttl="30s", on_expiry=on_expiry)
    expires_at = parse_rfc3339(hold["expires_at"])
    world.later(300)
    assert await world.sweep() == [ada]
    assert await world.sweep() == []
    meters = await world.meters(ada)
    assert meters["credits"]["remaining"] == left
    assert meters["concurrent"]["used"] == 0, "a slot comes back either way"
    (expiry,) = await world.entries(ada, "hold_expiry")
    assert expiry.at == expires_at


async def test_after_expiry_with_return_settling_is_a_new_debit_down_to_zero(world: World) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "chat", amount={"credits": 60}, ttl="30s")
    world.later(31)
    await world.admit(ada, "launch")
    settled = await settle(world, hold["id"], 70)
    assert settled["charged"] == {"credits": 50}
    assert settled["shortfall"] == {"credits": 20}
    assert await world.left(ada) == 0


async def test_after_expiry_with_charge_settling_moves_the_difference_alone(world: World) -> None:
    ada = await world.customer("ada")
    less = await world.hold(ada, "chat", amount={"credits": 30}, ttl="30s", on_expiry="charge")
    more = await world.hold(ada, "chat", amount={"credits": 30}, ttl="30s", on_expiry="charge")
    world.later(31)
    assert (await settle(world, less["id"], 10))["returned"] == {"credits": 20}
    assert (await settle(world, more["id"], 35))["charged"] == {"credits": 35}
    assert await world.left(ada) == 55


async def test_standing_is_not_asked_again_when_a_hold_is_settled(world: World) -> None:
    ada = await world.customer("ada", plan="starter")
    hold = await world.hold(ada, "chat", amount={"credits": 10})
    await world.subscribe(ada, "starter", standing="past_due")
    assert (await settle(world, hold["id"], 15))["charged"] == {"credits": 15}


async def test_the_last_credits_are_refused_while_they_are_held_and_given_when_the_hold_has_expired(
    world: World,
) -> None:
    """The refused customer's copy is not believed: what has lapsed comes back before the refusal is said."""
    ada = await world.customer("ada")
    await world.hold(ada, "chat", amount={"credits": 100}, ttl="10s")
    assert not (await world.admit(ada, "launch"))["allowed"]
    world.later(11)
    assert (await world.admit(ada, "launch"))["allowed"]
    assert await world.left(ada) == 50


async def test_the_same_key_makes_one_hold(world: World) -> None:
    ada = await world.customer("ada")
    first = await world.hold(ada, "launch", "key", ttl="60s")
    assert await world.hold(ada, "launch", "key", ttl="60s") == {**first, "replayed": True}
    body = {"customer": ada, "action": "launch", "key": "key", "ttl": "61s"}
    assert (await world.ask("/v1/holds", body, 422))["code"] == "idempotency_key_reused"
    assert await world.left(ada) == 50


async def test_a_hold_is_refused_as_an_admission_is(world: World) -> None:
    ada = await world.customer("ada")
    refused = await world.hold(ada, "chat", amount={"credits": 101})
    assert (refused["allowed"], refused["reason"]["code"]) == (False, "credits_exhausted")
    for ttl in ("0s", "60", "31d", "soon"):
        problem = await world.ask("/v1/holds", {"customer": ada, "action": "launch", "ttl": ttl}, 422)
        assert problem["code"] == "invalid_ttl"


async def test_settling_what_was_not_held_is_refused_and_unknown_holds_are_404(world: World) -> None:
    ada = await world.customer("ada")
    hold = await world.hold(ada, "launch")
    problem = await world.ask(f"/v1/holds/{hold['id']}/settle", {"amount": {"images": 1}}, 422)
    assert problem["code"] == "unknown_meter"
    admission = (await world.admit(ada, "spend"))["id"]
    for unknown in (hold["id"][:-1] + "9", "hld_x", admission, "hld_" + admission[4:]):
        for call, body in (("settle", {"amount": {}}), ("release", {}), ("extend", {"ttl": "5s"})):
            assert (await world.ask(f"/v1/holds/{unknown}/{call}", body, 404))["code"] == "hold_not_found"


async def test_a_hold_whose_lot_finds_no_room_ends_all_the_same_and_stops_nobody(world: World) -> None:
    """A top-up wholly held, then sixty more lots: the hold expires, its lot cannot come back, and the entry says so."""
    ada, eve = await world.customer("ada"), await world.customer("eve")
    await world.grant(ada, 7, "first", meter="images")
    await world.subscribe(ada, "starter")
    hold = await world.hold(ada, "render", amount=None, ttl="10s")
    assert hold["allowed"]
    rest = await world.hold(eve, "launch", ttl="10s")
    assert rest["allowed"]
    for _ in range(6):
        await world.admit(ada, "render")
    made = 0
    while (
        await world.post(
            f"/v1/customers/{ada}/grants",
            {"meter": "images", "amount": 1, "key": f"lot-{made}", "reason": "many"},
        )
    ).status_code == 200:
        made += 1
    assert made > 40
    world.later(11)
    assert set(await world.sweep()) == {ada, eve}
    assert await world.sweep() == [], "it is not due again"
    assert await world.left(eve) == 100
    (expiry,) = await world.entries(ada, "hold_expiry")
    assert expiry.moves == ()
    assert metadata_of(expiry.metadata)["lost"] == {"images": 1}
    book = await world.get(f"/v1/customers/{ada}/entries?limit=1")
    assert book["entries"][0]["metadata"] == {"on_expiry": "return", "lost": {"images": 1}}
    assert (await world.admit(ada, "render"))["allowed"]
    problem = await world.ask(f"/v1/admissions/{hold['id']}/refund", {"key": "r", "reason": "wrong"}, 409)
    assert problem["code"] == "refund_exceeds", "what was lost counts as given back"
