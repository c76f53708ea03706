"""The connection to PostgreSQL breaks while a save is under way: whether it took effect is found out, never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.admission.world import World, opened
from tests.crash.proxy import Cut, CuttingProxy, cutting_proxy


@pytest.fixture
async def proxied(postgres_url: str) -> AsyncIterator[tuple[CuttingProxy, World]]:
    """A house whose every connection goes through the proxy. Its books are verified after every test."""
    async with cutting_proxy(postgres_url) as (proxy, url), opened(url, TOLLHOUSE_LANES="1") as world:
        yield proxy, world
        assert proxy.cuts == 1
        await asyncio.wait_for(proxy.over.wait(), 5)
        assert await world.books.findings() == []


@pytest.mark.parametrize("cut", list(Cut))
async def test_an_admission_whose_connection_breaks_is_debited_once_and_answered_once(
    proxied: tuple[CuttingProxy, World], cut: Cut
) -> None:
    proxy, world = proxied
    ada = await world.customer("ada")
    assert (await world.admit(ada, "spend"))["allowed"]
    proxy.arm(b"cut-here", cut)
    answer = await world.admit(ada, "spend", "cut-here")
    assert (answer["allowed"], answer["replayed"]) == (True, False)
    await proxy.over.wait()
    again = await world.admit(ada, "spend", "cut-here")
    assert again == {**answer, "replayed": True}
    assert len(await world.books.admissions(ada)) == 2


@pytest.mark.parametrize("cut", list(Cut))
async def test_a_whole_batch_survives_with_and_without_keys(proxied: tuple[CuttingProxy, World], cut: Cut) -> None:
    proxy, world = proxied
    people = [await world.customer(f"person-{number}") for number in range(10)]
    proxy.arm(people[3].encode(), cut)
    calls = [world.admit(person, "spend", None if turn else "key") for person in people for turn in range(3)]
    answers = await asyncio.gather(*calls)
    assert all(answer["allowed"] and not answer["replayed"] for answer in answers)
    assert len({answer["id"] for answer in answers}) == 30
    for person in people:
        assert len(await world.books.admissions(person)) == 3
        assert await world.left(person) == 97


@pytest.mark.parametrize("cut", list(Cut))
async def test_the_last_credit_is_given_once_though_the_connection_breaks(
    proxied: tuple[CuttingProxy, World], cut: Cut
) -> None:
    proxy, world = proxied
    ada = await world.customer("ada")
    assert (await world.admit(ada, "launch"))["allowed"]
    proxy.arm(b"the-last", cut)
    answers = await asyncio.gather(world.admit(ada, "launch", "the-last"), world.admit(ada, "launch", "too-late"))
    assert [answer["allowed"] for answer in answers] == [True, False]
    assert await world.left(ada) == 0


@pytest.mark.parametrize("cut", [Cut.AFTER, Cut.BEFORE])
async def test_a_refund_whose_commit_is_cut_is_answered_503_and_happens_once_when_it_is_sent_again(
    proxied: tuple[CuttingProxy, World], cut: Cut
) -> None:
    proxy, world = proxied
    ada = await world.customer("ada")
    admission = (await world.admit(ada, "launch"))["id"]
    proxy.arm(b"COMMIT", cut)
    body = {"key": "back", "reason": "it failed", "amount": {"credits": 20}}
    await world.ask(f"/v1/admissions/{admission}/refund", body, status=503)
    again = await world.ask(f"/v1/admissions/{admission}/refund", body)
    assert again["replayed"] is (cut is Cut.AFTER)
    assert await world.left(ada) == 70


@pytest.mark.parametrize("cut", [Cut.AFTER, Cut.BEFORE])
async def test_a_customer_handled_aside_is_debited_once_though_the_commit_is_cut(
    proxied: tuple[CuttingProxy, World], cut: Cut
) -> None:
    proxy, world = proxied
    ada = await world.customer("ada")
    assert (await world.hold(ada, "spend", ttl="1s"))["allowed"]
    world.later(2)
    world.house.admission.forget(ada)
    proxy.arm(b"COMMIT", cut)
    answer = await world.admit(ada, "launch", "aside")
    assert (answer["allowed"], answer["replayed"]) == (True, False)
    assert await world.left(ada) == 50
    assert len(await world.books.admissions(ada)) == 1
