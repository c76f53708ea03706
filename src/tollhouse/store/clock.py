"""The time that decisions use: the database's clock, followed by our monotonic one between two measurements (rule 6)."""

import time
from collections.abc import Callable

import structlog

from tollhouse.kernel.errors import Unavailable

JUMP_MS = 5_000
AGREEING_MEASUREMENTS = 3

log = structlog.get_logger(__name__)


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class DatabaseClock:
    """Own monotonic clock plus an offset measured against the database every 10 s.

    A measurement that differs by more than 5 s is not believed: `trusted` turns false, writers refuse, staff are told.
    Three measurements in a row that agree with each other are believed again. The test clock (never in production)
    adds `test_offset_ms`, which only grows.
    """

    def __init__(self, monotonic_ms: Callable[[], int] = _monotonic_ms) -> None:
        self._monotonic_ms = monotonic_ms
        self._offset_ms: int | None = None
        self._doubtful: list[int] = []
        self.test_offset_ms = 0
        self.trusted = True

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC. Raises RuntimeError before the first measurement."""
        if self._offset_ms is None:
            raise RuntimeError("the database's clock has not been read yet")
        return self._monotonic_ms() + self._offset_ms + self.test_offset_ms

    def real_ms(self) -> int:
        """As `now_ms`, whatever the test clock says: for what keeps time with devices outside."""
        return self.now_ms() - self.test_offset_ms

    def measured(self, database_ms: int, before_ms: int, after_ms: int) -> None:
        """Take in what the database said between two readings of our monotonic clock.

        What took longer than a jump would be says nothing: the database, or this process, stood still meanwhile.
        """
        if self._offset_ms is not None and after_ms - before_ms > JUMP_MS:
            log.warning("clock.not_measured", took_ms=after_ms - before_ms)
            return
        offset = database_ms - (before_ms + after_ms) // 2
        if self._offset_ms is None or abs(offset - self._offset_ms) <= JUMP_MS:
            self._adopt(offset)
            return
        if self._doubtful and abs(offset - self._doubtful[-1]) > JUMP_MS:
            self._doubtful.clear()
        self._doubtful.append(offset)
        if self.trusted:
            log.error(
                "clock.jumped", by_ms=offset - self._offset_ms, fix="check the time service of the database's host"
            )
        self.trusted = False
        if len(self._doubtful) >= AGREEING_MEASUREMENTS:
            self._adopt(offset)

    def _adopt(self, offset: int) -> None:
        if not self.trusted:
            log.warning("clock.believed_again")
        self._offset_ms = offset
        self._doubtful.clear()
        self.trusted = True

    def require_trusted(self) -> None:
        """Raises Unavailable `clock_disagrees` while the clock has jumped: nothing is to be written then (rule 6)."""
        if not self.trusted:
            raise Unavailable(
                "the database's clock has jumped", code="clock_disagrees",
                fix="check the time service of the database's host; nothing was written",
            )  # fmt: skip

    def monotonic_ms(self) -> int:
        """Our own monotonic clock, for taking measurements."""
        return self._monotonic_ms()
