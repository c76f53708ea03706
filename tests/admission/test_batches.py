"""`POST /v1/admit/batch`: decided in order, answered in order; one bad item spoils only itself (rule 4)."""

from __future__ import annotations

import pytest

from tests.admission.world import World

BAD = (
    ({"action": "fly"}, "unknown_action"),
    ({"action": "chat", "amount": {"credits": 2**70}}, "invalid_amount"),
    ({"action": "chat", "amount": {"credits": "many"}}, "invalid_request"),
    ({"action": "spend", "key": "nul\x00"}, "invalid_key"),
    ({"action": "spend", "metadata": {"big": "x" * 3_000}}, "invalid_metadata"),
    ({"action": "spend", "extra": 1}, "invalid_request"),
    ({"action": "spend", "customer": "nobody\x00"}, "customer_not_found"),
    ({"action": "spend", "customer": "cus_00000000000000000000000000"}, "customer_not_found"),
    ({"action": "spend", "customer": 7}, "invalid_request"),
)


async def test_each_item_is_decided_in_order(world: World) -> None:
    ada = await world.customer("ada")
    items = [{"customer": ada, "action": action} for action in ("launch", "chat", "launch", "spend")]
    answers = (await world.ask("/v1/admit/batch", {"items": items}))["items"]
    assert [answer["allowed"] for answer in answers] == [True, True, False, True]
    assert [answer["meters"]["credits"]["remaining"] for answer in answers] == pytest.approx([50, 49.5, 49.5, 48.5])


async def test_bad_items_spoil_only_themselves(world: World) -> None:
    ada = await world.customer("ada")
    good = {"customer": ada, "action": "spend"}
    items = [item for bad, _ in BAD for item in (good, {"customer": ada, **bad})]
    answers = (await world.ask("/v1/admit/batch", {"items": items}))["items"]
    assert len(answers) == len(items)
    assert all(answer["allowed"] for answer in answers[::2])
    assert [answer["error"]["code"] for answer in answers[1::2]] == [code for _, code in BAD]
    assert await world.left(ada) == 100 - len(BAD)


async def test_a_thousand_items_in_one_request(world: World) -> None:
    ada = await world.customer("ada", plan="starter")
    items = [{"customer": ada, "action": "track", "key": f"k{number}"} for number in range(1_000)]
    answers = (await world.ask("/v1/admit/batch", {"items": items}))["items"]
    assert [answer["meters"]["sessions"]["used"] for answer in answers] == list(range(1, 1_001))
    again = (await world.ask("/v1/admit/batch", {"items": items}))["items"]
    assert again == [{**answer, "replayed": True} for answer in answers]


async def test_too_many_or_none_are_refused_whole(world: World) -> None:
    ada = await world.customer("ada")
    for items in ([], [{"customer": ada, "action": "spend"}] * 1_001):
        assert (await world.post("/v1/admit/batch", {"items": items})).status_code == 422
    keyed = await world.post(
        "/v1/admit/batch", {"items": [{"customer": ada, "action": "spend"}]}, **{"idempotency-key": "k"}
    )
    assert keyed.status_code == 422
    assert await world.left(ada) == 100
