"""When a call is sent again, and how long it waits before. Pure: the clients bring the time and do the waiting."""

import random

import msgspec

from tollhouse_sdk.errors import TimedOut, TollhouseError


class Retries(msgspec.Struct, frozen=True):
    """How often a call is sent at most, and the pauses between, which double. `attempts=1` never retries.

    The defaults outlast a server's restart: 10 seconds or so. The client's deadline ends them earlier where it is shorter.
    """

    attempts: int = 8
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0


class Attempts:
    """The attempts of one call: how long the next one may take, and whether another follows a failure."""

    def __init__(self, retries: Retries, timeout: float, deadline: float, now: float) -> None:
        self._retries = retries
        self._timeout = timeout
        self._ends_at = now + deadline
        self._deadline = deadline
        self.made = 0

    def next_timeout(self, now: float) -> float:
        """Seconds that the next attempt may take. Raises TimedOut when the deadline has passed."""
        left = self._ends_at - now
        if left <= 0:
            raise TimedOut(f"no answer within {self._deadline:.3g} s")
        self.made += 1
        return min(self._timeout, left)

    def pause_after(self, failure: TollhouseError, now: float) -> float:
        """Seconds to wait before the next attempt. Raises the failure when there is no use, no attempt or no time left.

        The server's own wish is kept to; otherwise half to the whole of a pause that doubles, so that callers that
        failed together do not come back together.
        """
        if not failure.retryable or self.made >= self._retries.attempts:
            raise failure
        growing = self._retries.first_pause_seconds * 2.0 ** (self.made - 1)
        pause = min(growing, self._retries.longest_pause_seconds) * random.uniform(0.5, 1.0)
        pause = max(pause, failure.retry_after or 0.0)
        if now + pause >= self._ends_at:
            raise failure
        return pause
