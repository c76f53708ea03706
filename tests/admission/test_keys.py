"""Idempotency keys: the first answer again, and only to the same request (rules 1, 3 and 12)."""

from __future__ import annotations

from tests.admission.world import World


async def test_an_allowed_key_is_answered_again_and_differs_in_replayed_alone(world: World) -> None:
    """Rule 12."""
    ada = await world.customer("ada")
    first = await world.admit(ada, "realtime_session", "key", metadata={"b": 1, "a": "é"})
    world.later(40)
    await world.admit(ada, "launch")
    again = await world.admit(ada, "realtime_session", "key", metadata={"a": "é", "b": 1})
    assert again == {**first, "replayed": True}
    assert first["replayed"] is False


async def test_the_key_may_come_in_the_header(world: World) -> None:
    ada = await world.customer("ada")
    body = {"customer": ada, "action": "launch"}
    first = await world.post("/v1/admit", body, **{"idempotency-key": "key"})
    assert (await world.admit(ada, "launch", "key")) == {**first.json(), "replayed": True}
    both = await world.post("/v1/admit", {**body, "key": "other"}, **{"idempotency-key": "key"})
    assert both.status_code == 422


async def test_the_same_key_with_another_request_is_422_and_debits_nothing(world: World) -> None:
    """Rule 12: the fingerprint is the whole request but its key."""
    ada, eve = await world.customer("ada"), await world.customer("eve")
    await world.admit(ada, "chat", "key", amount={"credits": 1}, metadata={"n": 1})
    for other in (
        {"action": "launch"},
        {"action": "chat", "amount": {"credits": 2}, "metadata": {"n": 1}},
        {"action": "chat", "amount": {"credits": 1}, "metadata": {"n": 2}},
        {"action": "chat", "amount": {"credits": 1}},
        {"action": "chat", "metadata": {"n": 1}},
    ):
        problem = await world.ask("/v1/admit", {"customer": ada, "key": "key", **other}, 422)
        assert problem["code"] == "idempotency_key_reused"
    assert await world.left(ada) == 99
    assert (await world.admit(eve, "launch", "key"))["replayed"] is False


async def test_operations_keep_their_keys_apart(world: World) -> None:
    """Rule 12: admit, hold, refund and grant may use one key each."""
    ada = await world.customer("ada")
    admission = await world.admit(ada, "launch", "key")
    assert (await world.hold(ada, "chat", "key"))["replayed"] is False
    refunded = await world.ask(f"/v1/admissions/{admission['id']}/refund", {"key": "key", "reason": "no"})
    assert refunded["replayed"] is False
    assert (await world.grant(ada, 5, "key"))["replayed"] is False


async def test_a_refused_key_is_decided_anew_after_a_top_up(world: World) -> None:
    """Rule 1: a refusal is not kept, and a customer who has just paid is not refused."""
    ada = await world.customer("ada")
    assert not (await world.admit(ada, "chat", "key", amount={"credits": 101}))["allowed"]
    await world.grant(ada, 1, "top-up")
    answer = await world.admit(ada, "chat", "key", amount={"credits": 101})
    assert (answer["allowed"], answer["replayed"]) == (True, False)


async def test_keys_that_are_no_keys_are_refused(world: World) -> None:
    ada = await world.customer("ada")
    for key in ("", "~mine", "a" * 201, "line\nbreak", "nul\x00"):
        problem = await world.ask("/v1/admit", {"customer": ada, "action": "launch", "key": key}, 422)
        assert problem["code"] == "invalid_key"
    assert await world.left(ada) == 100


async def test_two_requests_with_one_key_in_one_batch_are_one_debit(world: World) -> None:
    ada = await world.customer("ada")
    item = {"customer": ada, "action": "launch", "key": "twin"}
    first, second, other = (await world.ask("/v1/admit/batch", {"items": [item, item, {**item, "action": "spend"}]}))[
        "items"
    ]
    assert second == {**first, "replayed": True}
    assert other["error"]["code"] == "idempotency_key_reused"
    assert await world.left(ada) == 50
