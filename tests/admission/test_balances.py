"""A balance that crosses a line is told with the debit that takes it there: once per period or lot, never per debit."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.admission.world import World
from tollhouse.admission.ports import PostgresPort
from tollhouse.store import Sql

_TOLD = Sql("select fact, payload from outbox where fact like 'balance.%' order by created_at, fact desc")


async def told(world: World) -> list[tuple[str, dict[str, Any]]]:
    """(fact, what it says) of balances, in the order of their telling."""
    async with world.house.store.reading() as tx:
        rows = await tx.fetch(_TOLD)
    return [(row["fact"], msgspec.json.decode(row["payload"])) for row in rows]


async def lines(world: World) -> list[tuple[str, str, int]]:
    """(fact, meter, used)."""
    return [(fact, said["meter"], said["used"]) for fact, said in await told(world)]


@pytest.mark.row("X6")
async def test_credits_tell_when_four_fifths_are_used_and_when_none_is_left(world: World) -> None:
    ada = await world.customer("ada")
    for number, amount in enumerate((79, 1, 5, 5, 10)):
        await world.admit(ada, "chat", f"k{number}", amount={"credits": amount})
        assert len(await told(world)) == (0, 1, 1, 1, 2)[number]
    (first, said), (last, gone) = await told(world)
    assert (first, last) == ("balance.threshold", "balance.exhausted")
    assert said == {
        "fact": "balance.threshold", "customer": ada, "meter": "credits", "percent": 80, "total": 100_000, "used": 80_000,
        "remaining": 20_000, "decimals": 3, "resets_at": None,
    }  # fmt: skip
    assert (gone["used"], gone["remaining"]) == (100_000, 0)


@pytest.mark.row("X6")
async def test_a_quota_tells_once_in_each_of_its_periods(world: World) -> None:
    ada = await world.customer("ada", "starter")
    for day in range(2):
        for number in range(30):
            assert (await world.admit(ada, "export", f"{day}-{number}"))["allowed"]
        assert (await world.admit(ada, "export"))["allowed"] is False
        assert await lines(world) == [
            ("balance.threshold", "exports", 24), ("balance.exhausted", "exports", 30),
        ] * (day + 1)  # fmt: skip
        world.later(86_400)


@pytest.mark.row("X6")
async def test_what_is_given_back_and_spent_again_is_not_told_again(world: World) -> None:
    ada = await world.customer("ada")
    for key in ("first", "second"):
        spent = await world.admit(ada, "chat", key, amount={"credits": 100})
        await world.ask(f"/v1/admissions/{spent['id']}/refund", {"key": f"{key}-back", "reason": "failed"})
    assert [fact for fact, _ in await told(world)] == ["balance.threshold", "balance.exhausted"]
    await world.grant(ada, 50, "more")
    await world.admit(ada, "chat", "third", amount={"credits": 150})
    assert len(await told(world)) == 4


@pytest.mark.row("X6")
async def test_debits_of_one_batch_tell_each_line_once(world: World) -> None:
    customers = [await world.customer(name) for name in ("ada", "grace", "joan")]
    await asyncio.gather(
        *(world.admit(customer, "chat", f"k{n}", amount={"credits": 1}) for n in range(100) for customer in customers)
    )
    facts = await told(world)
    assert sorted((said["customer"], fact) for fact, said in facts) == sorted(
        (customer, fact) for customer in customers for fact in ("balance.exhausted", "balance.threshold")
    )
    assert all(80_000 <= said["used"] <= 100_000 for _, said in facts)


@pytest.mark.row("X6")
async def test_a_settled_hold_and_an_expired_lot_tell_too(world: World) -> None:
    ada, grace = await world.customer("ada"), await world.customer("grace", "pro")
    held = await world.hold(ada, "film", amount={"credits": 10})
    assert await told(world) == []
    await world.ask(f"/v1/holds/{held['id']}/settle", {"amount": {"credits": 85}})
    assert await lines(world) == [("balance.threshold", "credits", 85_000)]
    await world.admit(grace, "chat", amount={"credits": 100})  # what came with signing up
    before = len(await told(world))
    await world.grant(grace, 50, "short", expires_at="2031-01-01T00:00:00Z")
    until = 1_924_992_000_000 - world.now
    world.later(until / 1000 + 1)
    await world.admit(grace, "ping")
    assert (await told(world))[before:][-1][0] == "balance.exhausted"


async def test_who_is_unlimited_or_has_no_lines_hears_nothing(world: World) -> None:
    ada = await world.customer("ada", "pro")
    for number in range(40):
        await world.admit(ada, "export", f"k{number}")
    assert await told(world) == []


@pytest.mark.row("X6")
async def test_a_save_that_tells_is_still_one_statement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if world.house.store.dialect == "sqlite":
        ada = await world.customer("ada")
        writes: list[object] = []
        write = world.house.store.write  # type: ignore[union-attr]

        async def counted(work: Any) -> Any:
            writes.append(work)
            return await write(work)

        monkeypatch.setattr(world.house.store, "write", counted)
        await world.admit(ada, "chat", amount={"credits": 100})
        assert (len(writes), len(await told(world))) == (1, 2)
        return
    ada = await world.customer("ada")
    await world.admit(ada, "chat", amount={"credits": 1})  # the copy is there
    statements: list[str] = []
    ready = PostgresPort._ready

    async def watched(port: PostgresPort) -> Any:
        return Watched(await ready(port), statements)

    monkeypatch.setattr(PostgresPort, "_ready", watched)
    await world.admit(ada, "chat", amount={"credits": 99})
    assert ["save_" in text for text in statements] == [True]
    assert len(await told(world)) == 2


class Watched:
    """A connection whose statements are noted."""

    def __init__(self, connection: Any, statements: list[str]) -> None:
        self._connection = connection
        self._statements = statements

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("fetch", "fetchval", "fetchrow", "execute"):
            return found

        async def call(text: str, *arguments: Any) -> Any:
            self._statements.append(text)
            return await found(text, *arguments)

        return call
