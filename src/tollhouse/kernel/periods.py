"""Billing periods: calendar arithmetic in UTC, anchored at a moment, the 31st handled as Stripe does.

Stripe: a monthly period anchored on the 31st ends on the last day of shorter months, and returns to the 31st after
(docs.stripe.com/billing/subscriptions/billing-cycle). So the n-th boundary is computed from the anchor, never from
the boundary before it.
"""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Literal

Unit = Literal["day", "week", "month", "year"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def boundary(anchor_ms: int, unit: Unit, number: int) -> int:
    """The n-th boundary (ms, UTC) after the anchor; 0 is the anchor itself, negative ones lie before it."""
    if unit == "day":
        return anchor_ms + number * 86_400_000
    if unit == "week":
        return anchor_ms + number * 7 * 86_400_000
    anchor = _moment(anchor_ms)
    months = anchor.year * 12 + anchor.month - 1 + number * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    day = min(anchor.day, calendar.monthrange(year, month + 1)[1])
    moment = anchor.replace(year=year, month=month + 1, day=day)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def index_at(anchor_ms: int, unit: Unit, at_ms: int) -> int:
    """The number n with boundary(n) <= at < boundary(n + 1)."""
    if unit in ("day", "week"):
        return (at_ms - anchor_ms) // (86_400_000 * (7 if unit == "week" else 1))
    anchor, moment = _moment(anchor_ms), _moment(at_ms)
    months = (moment.year - anchor.year) * 12 + moment.month - anchor.month
    guess = months if unit == "month" else months // 12
    while boundary(anchor_ms, unit, guess) > at_ms:
        guess -= 1
    while boundary(anchor_ms, unit, guess + 1) <= at_ms:
        guess += 1
    return guess


def period_at(anchor_ms: int, unit: Unit, at_ms: int) -> tuple[int, int]:
    """(start, end) of the period that contains `at_ms`; the end is not in it."""
    number = index_at(anchor_ms, unit, at_ms)
    return boundary(anchor_ms, unit, number), boundary(anchor_ms, unit, number + 1)
