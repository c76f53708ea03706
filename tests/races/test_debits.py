"""Many debits at once: exactly as much is allowed as there is, and a key counts once."""

from __future__ import annotations

import asyncio
from itertools import repeat

from tests.races.arena import Race, allowed


async def test_two_hundred_debits_of_one_on_a_hundred_credits_allow_exactly_a_hundred(race: Race) -> None:
    ada = await race.here.customer("ada-hundred")
    bodies = [{"customer": ada, "action": "spend", "key": f"debit-{number}"} for number in range(200)]
    answers = await race.everywhere(200, "/v1/admit", bodies)
    said_yes = {body["id"] for body in allowed(answers)}
    assert len(said_yes) == 100
    assert {answer.body["reason"]["code"] for answer in answers if not answer.body["allowed"]} == {"credits_exhausted"}
    assert len(await race.books.admissions(ada)) == 100
    assert await race.taken(ada) == 100
    kept = await race.books.answers()
    assert {key for customer, key in kept if customer == ada} == {
        body["key"] for body, answer in zip(bodies, answers, strict=True) if answer.body["allowed"]
    }


async def test_fifty_calls_with_one_key_make_one_debit_and_get_equal_answers(race: Race) -> None:
    ada = await race.here.customer("ada-one-key")
    body = {"customer": ada, "action": "spend", "key": "the-one", "metadata": {"tool": "x"}}
    answers = await race.everywhere(50, "/v1/admit", repeat(body))
    told = [dict(answer) for answer in allowed(answers)]
    assert len(told) == 50
    assert [answer.pop("replayed") for answer in told].count(False) == 1
    assert all(answer == told[0] for answer in told)
    assert await race.taken(ada) == 1


async def test_a_retry_of_an_allowed_key_at_zero_gets_its_first_answer(race: Race) -> None:
    ada = await race.here.customer("ada-at-zero")
    first = (await race.here.admit(ada, "spend", "kept")).body
    allowed(await race.everywhere(99, "/v1/admit", repeat({"customer": ada, "action": "spend"})))
    refusals, retries = await asyncio.gather(
        race.everywhere(40, "/v1/admit", repeat({"customer": ada, "action": "spend"})),
        race.everywhere(40, "/v1/admit", repeat({"customer": ada, "action": "spend", "key": "kept"})),
    )
    assert not allowed(refusals)
    assert all({**answer.body, "replayed": False} == first and answer.body["replayed"] for answer in retries)
    assert await race.taken(ada) == 100
