"""Billing periods: the calendar in UTC, counted from the anchor, the 31st as Stripe has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.kernel.periods import Unit, boundary, index_at, period_at

MOMENTS = st.integers(631_152_000_000, 5_680_281_600_000)  # 1990 to 2149
UNITS: st.SearchStrategy[Unit] = st.sampled_from(["day", "week", "month", "year"])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _moment(at: int) -> datetime:
    return EPOCH + timedelta(milliseconds=at)


def _day(text: str) -> int:
    return _ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _dates(anchor: str, unit: Unit, numbers: range) -> list[str]:
    return [f"{_moment(boundary(_day(anchor), unit, number)):%Y-%m-%d}" for number in numbers]


@pytest.mark.row("X12")
def test_the_31st_is_the_last_day_of_shorter_months_and_comes_back() -> None:
    assert _dates("2026-01-31", "month", range(0, 6)) == [
        "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30",
    ]  # fmt: skip
    assert _dates("2026-01-31", "month", range(-2, 0)) == ["2025-11-30", "2025-12-31"]


def test_the_30th_meets_february_only() -> None:
    assert _dates("2027-12-30", "month", range(1, 4)) == ["2028-01-30", "2028-02-29", "2028-03-30"]


def test_a_year_from_a_leap_day_ends_on_the_28th_until_the_next_leap_day() -> None:
    assert _dates("2024-02-29", "year", range(0, 5)) == [
        "2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29",
    ]  # fmt: skip


@pytest.mark.parametrize(("unit", "length"), [("day", 1), ("week", 7)])
def test_days_and_weeks_have_their_length_everywhere(unit: Unit, length: int) -> None:
    start, end = period_at(_day("2026-03-01"), unit, _day("2026-03-29") + 5)
    assert end - start == length * 86_400_000


@given(MOMENTS, UNITS, MOMENTS)
def test_every_moment_lies_in_exactly_one_period(anchor: int, unit: Unit, at: int) -> None:
    start, end = period_at(anchor, unit, at)
    assert start <= at < end
    assert period_at(anchor, unit, start) == (start, end)
    assert period_at(anchor, unit, end - 1) == (start, end)
    assert period_at(anchor, unit, end)[0] == end


@given(MOMENTS, UNITS, st.integers(-60, 60))
def test_a_boundary_begins_the_period_of_its_number(anchor: int, unit: Unit, number: int) -> None:
    assert index_at(anchor, unit, boundary(anchor, unit, number)) == number
    assert index_at(anchor, unit, boundary(anchor, unit, number) - 1) == number - 1


@given(MOMENTS, st.integers(-600, 600))
def test_a_month_keeps_the_anchors_day_and_time_where_the_month_has_that_day(anchor: int, number: int) -> None:
    first, moment = _moment(anchor), _moment(boundary(anchor, "month", number))
    assert (moment.year * 12 + moment.month) - (first.year * 12 + first.month) == number
    assert moment.timetz() == first.timetz()
    is_last = (moment + timedelta(days=1)).month != moment.month
    assert moment.day == first.day or (is_last and moment.day < first.day)
