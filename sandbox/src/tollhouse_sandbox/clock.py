"""The one clock of the sandbox: real time plus an offset that only grows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Time in Unix seconds, as every `created` sees it."""

    def __init__(self, offset_seconds: int = 0) -> None:
        self.offset_seconds = offset_seconds
        self._standing_at: int | None = None

    def now(self) -> int:
        """Unix seconds on the sandbox's clock."""
        if self._standing_at is not None:
            return self._standing_at
        return int(time.time()) + self.offset_seconds

    def move_to(self, moment: int) -> None:
        """Moves forward so that it is `moment` now; an earlier moment changes nothing."""
        self.offset_seconds = max(self.offset_seconds, moment - int(time.time()))

    @contextmanager
    def standing_at(self, moment: int) -> Iterator[None]:
        """While open, it is exactly `moment`: what falls due is dated when it was due."""
        before, self._standing_at = self._standing_at, moment
        try:
            yield
        finally:
            self._standing_at = before
