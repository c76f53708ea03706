"""Background work that gives way: who waits for a decision goes before an event that Stripe sent a second ago."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

BUSY_A_SECOND = 100
RESTS = 3.0
LONGEST_REST_SECONDS = 1.0


def giving_way(
    whole: Callable[[], Awaitable[bool]], small: Callable[[], Awaitable[bool]], taken: Callable[[], int]
) -> Callable[[], Awaitable[bool]]:
    """Whole rounds; while more than 100 admissions come in a second small ones, each followed by a rest of three times its
    length.

    `taken` counts this process's admissions. Where it decides nothing (`tollhouse worker`) no round is small.
    """
    busy = False

    async def round() -> bool:
        nonlocal busy
        before, began = taken(), monotonic()
        more = await (small if busy else whole)()
        took = monotonic() - began
        busy = taken() - before > BUSY_A_SECOND * took
        if more and busy:
            await asyncio.sleep(min(RESTS * took, LONGEST_REST_SECONDS))
        return more

    return round
