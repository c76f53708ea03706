"""Background work rests while decisions are asked for, and only then."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from tollhouse.worker.yielding import giving_way


class Desk:
    def __init__(self) -> None:
        self.taken = 0


@pytest.mark.parametrize(("a_round", "rests"), [(0, False), (3, False), (100, True)])
async def test_it_rests_after_a_round_in_which_many_were_decided_on(a_round: int, rests: bool) -> None:
    desk = Desk()

    async def work() -> bool:
        await asyncio.sleep(0.05)
        desk.taken += a_round
        return True

    began = monotonic()
    assert await giving_way(work, lambda: desk.taken)()

    assert (monotonic() - began >= 0.19) is rests


async def test_it_does_not_rest_when_nothing_is_left() -> None:
    desk = Desk()

    async def work() -> bool:
        await asyncio.sleep(0.05)
        desk.taken += 1_000
        return False

    began = monotonic()
    assert not await giving_way(work, lambda: desk.taken)()

    assert monotonic() - began < 0.19
