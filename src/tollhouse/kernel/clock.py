"""Time as the product sees it: milliseconds since 1970 in UTC, passed in as an argument wherever a rule needs it."""

from datetime import UTC, datetime

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def rfc3339(at_ms: int) -> str:
    """`2026-11-20T10:59:00.000Z`: how every time leaves Tollhouse (RFC 3339, UTC)."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def parse_rfc3339(text: str) -> int:
    """Milliseconds of an RFC 3339 time. Raises ValueError when it has no offset or is no time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it in UTC, as in 2026-11-20T10:00:00Z")
    return round(moment.timestamp() * 1000)
