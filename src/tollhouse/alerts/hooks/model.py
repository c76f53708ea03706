"""Endpoints, deliveries and attempts as typed structs. Times are milliseconds since 1970 in UTC."""

from typing import Literal

import msgspec

from tollhouse.kernel.clock import DAY, HOUR, MINUTE, SECOND

Status = Literal["waiting", "delivered", "failed"]
STATUSES = ("waiting", "delivered", "failed")

PAUSES_MS = (
    5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
"""The pause after each failed attempt, as the Standard Webhooks specification proposes them: ten attempts in 75.6 hours."""
JITTER = 0.1
"""Up to so much of a pause is added to it, at random: what failed together does not come back together."""
LONG_FAILURE_MS = 3 * DAY
"""An endpoint that has answered nothing for so long is disabled when a delivery to it is given up."""
KEPT_MS = 30 * DAY
"""How long an event can be replayed."""
MOST_ENDPOINTS = 32


class Endpoint(msgspec.Struct, frozen=True):
    """Where webhooks go. `events` empty: every event. `failing_since`: nothing was answered from then on."""

    id: str
    url: str
    description: str
    events: tuple[str, ...]
    created_at: int
    created_by: str
    secret_at: int
    disabled_at: int | None = None
    disabled_why: str | None = None
    failing_since: int | None = None
    old_secret_until: int | None = None

    @property
    def enabled(self) -> bool:
        return self.disabled_at is None

    def wants(self, event: str) -> bool:
        """Whether its filter lets this event through."""
        return not self.events or event in self.events


class Delivery(msgspec.Struct, frozen=True):
    """One event for one endpoint. `answered`: the HTTP status of the last attempt."""

    endpoint: str
    event: str
    type: str
    customer: str | None
    status: Status
    attempts: int
    created_at: int
    due_at: int
    done_at: int | None
    answered: int | None
    error: str | None


class Attempt(msgspec.Struct, frozen=True):
    """One POST: what was answered and how it began, or why nothing was."""

    at: int
    took_ms: int
    answered: int | None
    error: str | None
    answer: str


def pause_ms(attempts: int, chance: float) -> int | None:
    """How long to wait after so many failed attempts; None when it is given up. `chance` lies in [0, 1)."""
    if attempts > len(PAUSES_MS):
        return None
    return round(PAUSES_MS[attempts - 1] * (1 + JITTER * chance))
