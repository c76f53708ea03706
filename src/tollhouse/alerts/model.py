"""An alert, and when it is told: after a moment in which others may join it, such as what caused it."""

import msgspec

from tollhouse.kernel.clock import MINUTE, SECOND

SEVERITIES = ("critical", "high", "medium", "low")
WAITS_MS = {"critical": 10 * SECOND, "high": 10 * SECOND, "medium": MINUTE, "low": MINUTE}
BETWEEN_LETTERS_MS = 5 * MINUTE
"""Alerts that open while the last letter is younger wait for the next one; critical ones
do not."""


class Alert(msgspec.Struct, frozen=True):
    """Something that is wrong, or was. `happened`: how many times; times in ms; `key` says what it is."""

    id: str
    key: str
    severity: str
    title: str
    detail: str
    fix: str
    happened: int
    opened_at: int
    last_at: int
    told_at: int | None = None
    reminded_at: int | None = None
    ended_at: int | None = None
    told_by: str | None = None

    @property
    def channels(self) -> list[str]:
        """By which it was told when it opened: email, webhook."""
        return self.told_by.split() if self.told_by else []
