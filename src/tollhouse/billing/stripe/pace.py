"""Long work, slowed down to what Stripe allows."""

import asyncio


class Pace:
    """At most so many calls a second, evenly spread: Stripe counts 100 in live mode and 25 in test mode."""

    def __init__(self, calls_per_second: float) -> None:
        self._gap = 1 / calls_per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until the next call may be made."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._gap
        if at > now:
            await asyncio.sleep(at - now)
