"""Amounts as readers see them: each currency with the digits that Stripe's amounts have."""

import pytest

from tollhouse.kernel.money import Money, written


@pytest.mark.row("X12")
@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (900, "usd", "9.00 USD"), (-5, "usd", "-0.05 USD"), (123_456, "eur", "1,234.56 EUR"), (1_200, "jpy", "1,200 JPY"),
        (1_234, "kwd", "1.234 KWD"), (500, "ugx", "5.00 UGX"), (500, "isk", "5.00 ISK"),
    ],
)  # fmt: skip
def test_an_amount_is_written_with_its_currencys_digits(minor: int, currency: str, text: str) -> None:
    """UGX and ISK have no cents, and Stripe counts them in hundredths all the same."""
    assert written(Money(minor, currency)) == text
