"""Background work steps back while decisions are asked for, and only then."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from tollhouse.worker.yielding import giving_way


class Work:
    """Rounds of 50 ms, in each of which so many decisions are asked for."""

    def __init__(self, decisions: int, *, more: bool = True) -> None:
        self.taken = 0
        self.rounds: list[str] = []
        self._decisions = decisions
        self._more = more

    async def whole(self) -> bool:
        return await self._round("whole")

    async def small(self) -> bool:
        return await self._round("small")

    async def _round(self, kind: str) -> bool:
        self.rounds.append(kind)
        await asyncio.sleep(0.05)
        self.taken += self._decisions
        return self._more


@pytest.mark.parametrize(
    ("decisions", "rests", "second"), [(0, False, "whole"), (3, False, "whole"), (100, True, "small")]
)
async def test_rounds_are_small_and_apart_while_many_are_decided_on(decisions: int, rests: bool, second: str) -> None:
    work = Work(decisions)
    round = giving_way(work.whole, work.small, lambda: work.taken)

    began = monotonic()
    assert await round()
    assert (monotonic() - began >= 0.19) is rests
    assert await round()

    assert work.rounds == ["whole", second]


async def test_it_does_not_rest_when_nothing_is_left() -> None:
    work = Work(1_000, more=False)

    began = monotonic()
    assert not await giving_way(work.whole, work.small, lambda: work.taken)()

    assert monotonic() - began < 0.19
