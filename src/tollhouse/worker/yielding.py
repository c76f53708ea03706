"""Background work that gives way: who waits for a decision goes before an event that Stripe sent a second ago."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

BUSY_A_SECOND = 100
RESTS = 3.0
LONGEST_REST_SECONDS = 1.0


def giving_way(round: Callable[[], Awaitable[bool]], taken: Callable[[], int]) -> Callable[[], Awaitable[bool]]:
    """The round, and after it a rest of three times its length while more than 100 admissions come in a second.

    `taken` counts this process's admissions. Where it decides nothing (`tollhouse worker`) no rest is made.
    """

    async def gentle() -> bool:
        before, began = taken(), monotonic()
        more = await round()
        took = monotonic() - began
        if more and taken() - before > BUSY_A_SECOND * took:
            await asyncio.sleep(min(RESTS * took, LONGEST_REST_SECONDS))
        return more

    return gentle
