"""A small throttle in memory: some attempts are free, then pauses grow. Bounded, and gone with the process."""

import ipaddress
from collections import OrderedDict

from tollhouse.kernel.clock import MINUTE, SECOND
from tollhouse.kernel.errors import TooManyAttempts

FREE_ATTEMPTS = 5
FIRST_PAUSE_MS = 2 * SECOND
LONGEST_PAUSE_MS = 15 * MINUTE
MOST_KEPT = 50_000


class _Attempts:
    """How often one key has been tried, and from when it may be tried again."""

    __slots__ = ("blocked_until", "count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.blocked_until = 0
        self.last = 0


class Throttle:
    """`free` attempts at once, then a pause of 2 s, 4 s, 8 s… up to `longest_pause_ms`; forgotten after as long without any.

    An attempt counts before its outcome is known, so that a thousand at once are no way around; `forgive` takes it back.
    An attempt during a pause is refused and does not lengthen it: nobody can lock somebody else out for good.
    """

    def __init__(
        self, free: int = FREE_ATTEMPTS, longest_pause_ms: int = LONGEST_PAUSE_MS, most: int = MOST_KEPT
    ) -> None:
        self._free = free
        self._longest_pause_ms = longest_pause_ms
        self._most = most
        self._kept: OrderedDict[str, _Attempts] = OrderedDict()

    def attempt(self, key: str, now: int) -> None:
        """Count one attempt. Raises TooManyAttempts with `retry_after` in whole seconds."""
        kept = self._kept.get(key)
        if kept is None or now - kept.last > self._longest_pause_ms:
            kept = self._kept[key] = _Attempts()
        if now < kept.blocked_until:
            retry_after = -(-(kept.blocked_until - now) // SECOND)
            raise TooManyAttempts(
                "too many attempts in a short time", fix=f"try again in {retry_after} s", retry_after=retry_after
            )
        kept.count += 1
        kept.last = now
        beyond = kept.count - self._free
        if beyond >= 0:
            kept.blocked_until = now + min(self._longest_pause_ms, FIRST_PAUSE_MS << min(beyond, 30))
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forgive(self, key: str) -> None:
        """The attempt was rightful: take this one back."""
        kept = self._kept.get(key)
        if kept is not None:
            kept.count = max(0, kept.count - 1)
            kept.blocked_until = 0 if kept.count < self._free else kept.blocked_until

    def clear(self, key: str) -> None:
        """The right person has come: forget every attempt."""
        self._kept.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)


def network_of(address: str) -> str:
    """What is throttled as one caller: an IPv4 address, or the /64 network of an IPv6 one; other text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
