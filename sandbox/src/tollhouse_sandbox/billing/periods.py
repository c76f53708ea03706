"""Billing periods by Stripe's month arithmetic: counted from the anchor, the 31st falling on a short month's last day."""

import calendar
from datetime import UTC, datetime, timedelta


def boundary(anchor: int, interval: str, interval_count: int, number: int) -> int:
    """The number-th boundary after the anchor (Unix seconds, UTC), keeping the anchor's day and time of day."""
    start = datetime.fromtimestamp(anchor, UTC)
    steps = interval_count * number
    if interval == "day":
        return int((start + timedelta(days=steps)).timestamp())
    if interval == "week":
        return int((start + timedelta(weeks=steps)).timestamp())
    months = steps * (12 if interval == "year" else 1)
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def next_boundary(anchor: int, interval: str, interval_count: int, after: int) -> int:
    """The first boundary later than `after`."""
    longest = {"day": 86_400, "week": 604_800, "month": 31 * 86_400, "year": 366 * 86_400}[interval] * interval_count
    number = max(1, (after - anchor) // longest)
    while boundary(anchor, interval, interval_count, number) <= after:
        number += 1
    return boundary(anchor, interval, interval_count, number)
