"""The lanes from inside: copies that are not the truth, rows that others hold, failures, callers that go away (rules 1 to 5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.admission.world import World, opened
from tests.support.product import TOML
from tollhouse.admission import desk as desks
from tollhouse.admission import lanes
from tollhouse.admission.batch import Batch
from tollhouse.admission.model import Ask, Loaded, Outcome
from tollhouse.kernel.errors import TollhouseError
from tollhouse.ledger.queries import LOCK_ACCOUNT
from tollhouse.store import Sql, StoreFailure, cell_of


def submit(world: World, customer: str, action: str = "spend", key: str | None = None) -> asyncio.Future[Outcome]:
    desk = world.house.admission
    return desk.submit("admit", customer, desk.prices.charge(action), key, action.encode())


def cached(world: World) -> int:
    return sum(len(lane._cache) for lane in world.house.admission._lanes)


@asynccontextmanager
async def patched(world: World, name: str, with_: Any) -> AsyncIterator[None]:
    """Every lane's port with one method replaced: `with_(original, *arguments)`."""
    ports = [lane._port for lane in world.house.admission._lanes]
    originals = [getattr(port, name) for port in ports]
    for port, original in zip(ports, originals, strict=True):

        async def instead(*arguments: Any, original: Any = original, **more: Any) -> Any:
            return await with_(original, *arguments, **more)

        setattr(port, name, instead)
    try:
        yield
    finally:
        for port in ports:
            delattr(port, name)


async def test_a_refusal_is_never_given_from_the_copy_alone(world: World, other: World) -> None:
    """Rule 1: another process has granted; rule 1 again: another process has used the key."""
    ada = await world.customer("ada")
    assert (await world.admit(ada, "chat", amount={"credits": 100}))["allowed"]
    assert not (await world.admit(ada, "spend"))["allowed"]
    await other.grant(ada, 2, "top-up")
    assert (await world.admit(ada, "spend"))["allowed"]
    first = await other.admit(ada, "spend", "elsewhere")
    assert first["allowed"]
    assert not (await world.admit(ada, "spend"))["allowed"]
    assert (await world.admit(ada, "spend", "elsewhere")) == {**first, "replayed": True}


async def test_a_copy_that_is_behind_saves_nothing_and_is_decided_again(world: World, other: World) -> None:
    """Rules 2 and 3: every writer bumps the version; the save compares it."""
    ada = await world.customer("ada")
    for turn in range(10):
        mine, theirs = (world, other) if turn % 2 else (other, world)
        assert (await mine.admit(ada, "spend"))["meters"]["credits"]["used"] == 2 * turn + 1
        assert (await theirs.admit(ada, "spend"))["meters"]["credits"]["used"] == 2 * turn + 2
    await other.grant(ada, 5, "grant")
    assert (await world.admit(ada, "spend"))["meters"]["credits"]["total"] == 105


async def test_a_key_that_another_process_has_used_is_found_though_the_copy_is_current(
    world: World, other: World
) -> None:
    """Rule 3: the save looks the keys up itself."""
    ada = await world.customer("ada")
    first = await other.admit(ada, "spend", "key")
    await world.admit(ada, "spend")
    again = await world.admit(ada, "spend", "key")
    assert again == {**first, "replayed": True}
    assert await world.left(ada) == 98


@pytest.mark.parametrize("schema_url", ["postgres"], indirect=True)  # SQLite locks the database: the next story
async def test_an_account_locked_by_somebody_else_stalls_nobody_else(world: World, other: World) -> None:
    """Rule 4: the others go on; the locked one is answered when the lock is gone."""
    people = [await world.customer(f"person-{number}") for number in range(8)]
    for person in people:
        await world.admit(person, "spend")
    async with other.house.store.transaction() as tx:
        await tx.fetch_one(LOCK_ACCOUNT, cell=cell_of(people[0]), customer=people[0])
        locked = submit(world, people[0])
        for _ in range(3):
            await asyncio.wait_for(asyncio.gather(*(submit(world, person) for person in people[1:])), 5)
        assert not locked.done()
    assert (await asyncio.wait_for(locked, 5)).allowed
    assert await world.left(people[0]) == 98


async def test_while_another_process_writes_a_long_time_everybody_waits_and_is_answered(
    world: World, other: World
) -> None:
    ada = await world.customer("ada")
    await world.admit(ada, "spend")
    async with other.house.store.transaction() as tx:
        await tx.execute(Sql("update account set version = version where customer = :c"), c="nobody")
        waiting = [submit(world, ada) for _ in range(3)]
        await asyncio.sleep(0.3)
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 15)
    assert all(answer.allowed for answer in answers)


async def test_of_an_unexpected_failure_only_the_culprit_hears(world: World) -> None:
    """Rule 4: the batch is bisected."""
    people = [await world.customer(f"person-{number}") for number in range(16)]
    culprit = people[5]

    async def save(original: Any, batch: Batch) -> set[str]:
        if culprit in batch.customers:
            raise ValueError("poison")
        saved: set[str] = await original(batch)
        return saved

    async with patched(world, "save", save):
        answers = await asyncio.gather(*(submit(world, person) for person in people), return_exceptions=True)
    assert [person for person, answer in zip(people, answers, strict=True) if isinstance(answer, ValueError)] == [
        culprit
    ]
    assert all(isinstance(answer, Outcome) for answer in answers if not isinstance(answer, ValueError))
    assert (await submit(world, culprit)).allowed


async def test_of_a_failure_aside_only_the_culprit_hears(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 4, for a customer that is handled one by one."""
    ada = await world.customer("ada")
    await world.hold(ada, "spend", ttl="1s")
    world.later(2)
    aside = world.house.admission._aside
    original = aside._decide

    async def decide(tx: Any, book: Any, ask: Ask) -> Any:
        result = await original(tx, book, ask)
        if ask.key == "poison":
            raise ValueError("poison")
        return result

    monkeypatch.setattr(aside, "_decide", decide)
    world.house.admission.forget(ada)
    keys = ["a", "b", "poison", "c", "d"]
    answers = await asyncio.gather(*(submit(world, ada, key=key) for key in keys), return_exceptions=True)
    assert [key for key, answer in zip(keys, answers, strict=True) if isinstance(answer, ValueError)] == ["poison"]
    assert await world.left(ada) == 96


async def test_a_passing_failure_is_tried_again_and_one_that_stays_is_answered_in_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 4: deadlock, full disk and the like are retried or answered 503."""
    ada = await world.customer("ada")
    failures = 0

    async def save(original: Any, batch: Batch) -> set[str]:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise StoreFailure("the disk is full")
        saved: set[str] = await original(batch)
        return saved

    async with patched(world, "save", save):
        assert (await submit(world, ada)).allowed
    assert failures == 3
    monkeypatch.setattr(desks, "DEADLINE_SECONDS", 0.25)

    async def never(_: Any, __: Batch) -> set[str]:
        raise StoreFailure("the disk is full")

    async with patched(world, "save", never):
        with pytest.raises(StoreFailure):
            await asyncio.wait_for(submit(world, ada), 5)
    assert (await submit(world, ada)).allowed
    assert await world.left(ada) == 98


async def test_a_copy_forgotten_in_the_middle_of_a_batch_is_read_again(world: World) -> None:
    """A grant of this process drops the copy while the batch is waiting for its SELECT: the customer is not unknown."""
    ada, eve = await world.customer("ada"), await world.customer("eve")
    assert (await submit(world, ada)).allowed

    async def load(original: Any, customers: Sequence[str], *more: Any, **named: Any) -> Loaded:
        world.house.admission.forget(ada)
        loaded: Loaded = await original(customers, *more, **named)
        return loaded

    async with patched(world, "load", load):
        answers = await asyncio.gather(submit(world, ada), submit(world, eve))
    assert all(answer.allowed for answer in answers)


async def test_memory_is_bounded_and_those_put_out_of_it_are_served_all_the_same(schema_url: str) -> None:
    async with opened(schema_url, TOML, TOLLHOUSE_CACHED_CUSTOMERS="8", TOLLHOUSE_LANES="1") as world:
        people = [await world.customer(f"person-{number}") for number in range(30)]
        for _ in range(3):
            answers = await asyncio.gather(*(submit(world, person) for person in people))
            assert all(answer.allowed for answer in answers)
            assert cached(world) <= 8
        assert [await world.left(person) for person in people] == [97] * 30
        assert await world.books.findings() == []


async def test_too_many_waiting_are_told_so_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_QUEUED", 10)
    ada = await world.customer("ada")
    answers = await asyncio.gather(*(submit(world, ada) for _ in range(15)), return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, TollhouseError)]
    assert codes == ["overloaded"] * 5
    assert await world.left(ada) == 90


async def test_callers_that_go_away_disturb_nobody(world: World) -> None:
    ada = await world.customer("ada")
    asks = [submit(world, ada) for _ in range(20)]
    for ask in asks[::2]:
        ask.cancel()
    assert all(answer.allowed for answer in await asyncio.gather(*asks[1::2]))
    late = [submit(world, ada) for _ in range(20)]
    await asyncio.sleep(0)
    for ask in late[::2]:
        ask.cancel()
    assert all(answer.allowed for answer in await asyncio.gather(*late[1::2]))
    used = 100 - await world.left(ada)
    assert 20 <= used <= 30, "those cancelled before they were decided cost nothing"


async def test_the_follower_of_a_caller_who_hung_up_gets_the_answer(world: World) -> None:
    """The first of two with one key goes away, before it is decided or while it is being saved: the second is answered."""
    ada = await world.customer("ada")
    early, follower = submit(world, ada, "launch", "early"), submit(world, ada, "launch", "early")
    early.cancel()
    assert b'"replayed":false' in (await follower).body
    first, second = submit(world, ada, "launch", "late"), submit(world, ada, "launch", "late")

    async def save(original: Any, batch: Batch) -> set[str]:
        first.cancel()
        saved: set[str] = await original(batch)
        return saved

    async with patched(world, "save", save):
        assert b'"replayed":true' in (await asyncio.wait_for(second, 5)).body
    assert first.cancelled()
    assert await world.left(ada) == 0


async def test_a_refusal_costs_no_commit(world: World) -> None:
    ada = await world.customer("ada")
    await world.admit(ada, "chat", amount={"credits": 100})
    saves = 0

    async def save(original: Any, batch: Batch) -> set[str]:
        nonlocal saves
        saves += 1
        saved: set[str] = await original(batch)
        return saved

    async with patched(world, "save", save):
        for _ in range(5):
            assert not (await submit(world, ada)).allowed
    assert saves == 0


@pytest.mark.parametrize(
    ("environ", "on_postgres"), [({}, 2), ({"TOLLHOUSE_WORKERS": "3"}, 1), ({"TOLLHOUSE_LANES": "5"}, 5)]
)
async def test_there_are_as_many_lanes_as_pay(schema_url: str, environ: dict[str, str], on_postgres: int) -> None:
    sqlite = schema_url.startswith("sqlite:")
    if sqlite and "TOLLHOUSE_WORKERS" in environ:
        return  # refused by the settings
    async with opened(schema_url, TOML, **environ) as world:
        assert len(world.house.admission._lanes) == (1 if sqlite else on_postgres)
