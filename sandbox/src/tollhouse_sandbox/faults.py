"""Faults on demand: what the outside world can be told to do wrong."""

import time
from collections import deque
from typing import Literal

import msgspec


class ApiError(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Answers `status` to the next `count` API calls whose path begins with `path`."""

    status: int = 500
    count: int = 1
    path: str = "/v1/"
    method: str | None = None
    skip: int = 0
    """So many such calls are answered first."""
    retry_after: int | None = None
    """Seconds in `Retry-After`, which Stripe itself does not send; None: the header is not sent."""
    when: Literal["before", "after", "cut"] = "before"
    """`after`: the call takes effect and only its answer is lost; `cut`: the answer breaks off in the middle."""
    should_retry: bool | None = None
    """What `Stripe-Should-Retry` advises the SDK; None: the header is not sent."""


class Faults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The faults in force. Deliveries: drop, double, delay, reorder, hold; the API: latency and errors."""

    drop: int | str = 0
    """The next n deliveries, or every delivery of a type (`invoice.*`, `*`) until told otherwise."""
    double: bool = False
    delay_ms: int = 0
    reorder: bool = False
    hold: bool = False
    api_latency_ms: int = 0
    api_errors: list[ApiError] = []
    api_calls_a_second: int = 0
    """More calls within a second are answered 429; 0 sets no limit. Stripe: 100 in live mode, 25 in test mode."""


def type_matches(pattern: str, event_type: str) -> bool:
    """`*` matches every type, `invoice.*` a family, anything else itself."""
    return pattern == "*" or pattern == event_type or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))


def takes_drop(faults: Faults, event_type: str) -> bool:
    """Whether this delivery is to be lost; a counted drop is used up by one."""
    if isinstance(faults.drop, str):
        return type_matches(faults.drop, event_type)
    if faults.drop > 0:
        faults.drop -= 1
        return True
    return False


class Pace:
    """Counts the API's calls of the last second, of real time."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()

    def allows(self, faults: Faults) -> bool:
        """Whether one more call is within the limit; a refused one does not count."""
        if faults.api_calls_a_second <= 0:
            return True
        now = time.monotonic()
        while self._calls and self._calls[0] <= now - 1:
            self._calls.popleft()
        if len(self._calls) >= faults.api_calls_a_second:
            return False
        self._calls.append(now)
        return True


def takes_api_error(faults: Faults, method: str, path: str) -> ApiError | None:
    """The error that this call is to meet, used up by one; None to go on."""
    for error in faults.api_errors:
        if error.count > 0 and path.startswith(error.path) and error.method in (None, method):
            if error.skip > 0:
                error.skip -= 1
                continue
            error.count -= 1
            return error
    return None
