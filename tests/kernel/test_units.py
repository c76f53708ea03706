"""Amounts are exact: what a client sends is what is booked, or it is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.kernel.units import LARGEST, scale, unscale

DECIMALS = st.integers(0, 9)


@pytest.mark.row("X3")
@given(st.integers(-LARGEST, LARGEST), DECIMALS)
def test_what_is_shown_is_read_back_exactly(scaled: int, decimals: int) -> None:
    shown = unscale(scaled, decimals)
    assert scale(shown, decimals) == scaled
    assert scale(Decimal(str(shown)), decimals) == scaled


@given(st.integers(-LARGEST, LARGEST), DECIMALS)
def test_a_whole_amount_is_an_int_and_another_has_no_zeros_at_its_end(scaled: int, decimals: int) -> None:
    shown = unscale(scaled, decimals)
    assert isinstance(shown, int) == (scaled % 10**decimals == 0)
    if isinstance(shown, Decimal):
        assert not f"{shown:f}".endswith("0")


@pytest.mark.row("X3")
def test_a_decimal_more_than_the_meter_has_is_refused_and_not_rounded() -> None:
    assert scale(Decimal("12.5"), 3) == 12_500
    assert scale(Decimal("12.500"), 1) == 125
    with pytest.raises(ValueError, match="more than 3 decimals"):
        scale(Decimal("0.0001"), 3)
    with pytest.raises(ValueError, match="more than 0 decimals"):
        scale(Decimal("1.5"), 0)
    for digits in (30, 100):  # more than arithmetic keeps, unless it is told to
        with pytest.raises(ValueError, match="more than 3 decimals"):
            scale(Decimal("1." + "0" * digits + "1"), 3)
        assert scale(Decimal("1." + "0" * digits), 3) == 1_000


@pytest.mark.parametrize(
    "amount", ["1e400", "-1e400", "9007199254740992", "9007199254740.992", "NaN", "Infinity", "sNaN"]
)
def test_what_no_json_number_carries_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="the amount"):
        scale(Decimal(amount), 3)


def test_a_tiny_amount_is_refused_without_writing_out_its_zeros() -> None:
    with pytest.raises(ValueError, match="decimals"):
        scale(Decimal("1e-400000"), 3)


@given(st.text(max_size=12))
def test_no_text_makes_anything_but_a_number_or_a_value_error(text: str) -> None:
    try:
        amount = Decimal(text)
    except ArithmeticError:
        return
    try:
        scaled = scale(amount, 3)
    except ValueError:
        return
    assert Decimal(scaled) / 1000 == amount
