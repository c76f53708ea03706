"""Money that comes and goes in several processes at once: top-ups, refunds, keys, settlements, leases."""

from __future__ import annotations

import asyncio
from itertools import repeat

from tests.races.arena import Race, allowed


async def test_a_top_up_by_another_process_is_seen_at_once_by_a_customer_who_was_being_refused(race: Race) -> None:
    ada = await race.here.customer("ada-top-up")
    spend_all = {"customer": ada, "action": "chat", "amount": {"credits": 100}}
    assert allowed([await race.here.post("/v1/admit", spend_all)])
    stop = asyncio.Event()

    async def refused_again_and_again() -> int:
        refusals = 0
        while not stop.is_set():
            answer = await race.here.admit(ada, "launch")
            assert not answer.body["allowed"]
            refusals += 1
        return refusals

    knocking = asyncio.create_task(refused_again_and_again())
    await asyncio.sleep(0.2)
    stop.set()
    assert await knocking > 0
    for turn in range(10):
        grant = {"meter": "credits", "amount": 50, "key": f"top-up-{turn}", "reason": "top-up"}
        assert (await race.there.post(f"/v1/customers/{ada}/grants", grant)).status == 200
        assert (await race.here.admit(ada, "launch")).body["allowed"], "the very next request is allowed"
        assert not (await race.here.admit(ada, "launch")).body["allowed"]
    assert await race.taken(ada) == 600


async def test_refunds_of_one_admission_in_all_processes_give_it_back_once(race: Race) -> None:
    ada = await race.here.customer("ada-refunds")
    whole, parts = [(await race.here.admit(ada, "launch")).body["id"] for _ in range(2)]
    answers = await race.everywhere(
        20, f"/v1/admissions/{whole}/refund", ({"key": f"r{number}", "reason": "race"} for number in range(20))
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * 19
    thirds = await race.everywhere(
        20, f"/v1/admissions/{parts}/refund",
        ({"key": f"p{number}", "reason": "race", "amount": {"credits": 15}} for number in range(20)),
    )  # fmt: skip
    assert sorted(answer.status for answer in thirds) == [200] * 3 + [409] * 17
    same = await race.everywhere(
        20, f"/v1/admissions/{parts}/refund", repeat({"key": "last", "reason": "race", "amount": {"credits": 5}})
    )
    assert [answer.status for answer in same] == [200] * 20
    assert sum(1 for answer in same if not answer.body["replayed"]) == 1
    assert (await race.here.get(f"/v1/customers/{ada}")).body["meters"]["credits"]["remaining"] == 100


async def test_a_key_that_another_process_has_used_is_found_by_one_with_a_copy_of_the_state(race: Race) -> None:
    ada = await race.here.customer("ada-keys")
    for turn in range(20):
        assert (await race.here.admit(ada, "spend")).body["allowed"]
        first = (await race.there.admit(ada, "spend", f"key-{turn}")).body
        again = (await race.here.admit(ada, "spend", f"key-{turn}")).body
        assert again == {**first, "replayed": True}
    assert await race.taken(ada) == 40


async def test_one_hold_settled_everywhere_at_once_is_settled_once(race: Race) -> None:
    ada = await race.here.customer("ada-holds")
    hold = (
        await race.here.post("/v1/holds", {"customer": ada, "action": "chat", "amount": {"credits": 60}, "key": "h"})
    ).body["id"]
    bodies = ({"amount": {"credits": 10 + number % 3}} for number in range(21))
    answers = await race.everywhere(21, f"/v1/holds/{hold}/settle", bodies)
    settled = [answer.body for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} == {200, 409}
    assert len({str(answer["charged"]) for answer in settled}) == 1
    assert sum(1 for answer in settled if not answer["replayed"]) == 1
    charged = settled[0]["charged"]["credits"]
    assert (await race.here.get(f"/v1/customers/{ada}")).body["meters"]["credits"]["remaining"] == 100 - charged


async def test_one_slot_is_held_by_one_session_however_many_ask(race: Race) -> None:
    ada = await race.here.customer("ada-slots")
    for _ in range(5):
        body = {"customer": ada, "action": "film", "amount": {"credits": 1}}
        holders = allowed(await race.everywhere(20, "/v1/admit", repeat(body)))
        if len(holders) == 0:
            break
        assert len(holders) == 1
        ends = await race.everywhere(6, f"/v1/admissions/{holders[0]['id']}/end", repeat({}))
        assert {answer.status for answer in ends} == {200}
        assert len({answer.body["ended_at"] for answer in ends}) == 1
    used = (await race.here.get(f"/v1/customers/{ada}")).body["meters"]
    assert (used["concurrent"]["used"], used["exports"]["used"]) == (0, 3)


async def test_one_account_under_everything_at_once_adds_up(race: Race) -> None:
    ada = await race.here.customer("ada-everything")

    async def admit_and_refund(number: int) -> None:
        client = race.clients[number % len(race.clients)]
        answer = await client.admit(ada, "spend", f"n{number}")
        if answer.body["allowed"] and number % 2:
            body = {"key": f"n{number}", "reason": "race"}
            assert (await client.post(f"/v1/admissions/{answer.body['id']}/refund", body)).status == 200

    async def hold_and_release(number: int) -> None:
        client = race.clients[number % len(race.clients)]
        hold = await client.post("/v1/holds", {"customer": ada, "action": "spend", "key": f"h{number}"})
        if hold.body["allowed"]:
            assert (await client.post(f"/v1/holds/{hold.body['id']}/release")).status == 200

    async def grant(number: int) -> None:
        client = race.clients[number % len(race.clients)]
        body = {"meter": "credits", "amount": 1, "key": f"g{number}", "reason": "race"}
        assert (await client.post(f"/v1/customers/{ada}/grants", body)).status == 200

    await asyncio.gather(
        *(admit_and_refund(number) for number in range(60)),
        *(hold_and_release(number) for number in range(20)),
        *(grant(number) for number in range(10)),
    )
    assert (await race.here.get(f"/v1/customers/{ada}")).body["meters"]["credits"]["remaining"] == 110 - 30
