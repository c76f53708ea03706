"""Amounts on a meter: decimal numbers outside, scaled integers inside, never floats."""

from decimal import Context, Decimal, Inexact, InvalidOperation

LARGEST = 2**53 - 1
"""The largest scaled amount: exact in JSON numbers of every client."""

_EXACT = Context(prec=64, traps=[Inexact, InvalidOperation])
"""Python's own context would round what has more than 28 digits, and let too many decimals pass as none."""


def scale(amount: Decimal | int, decimals: int) -> int:
    """`12.5` with 3 decimals is 12500. Raises ValueError for more decimals than the meter has, or beyond `LARGEST`."""
    try:
        value = Decimal(amount)
        if not value.is_finite() or value.adjusted() > 20:
            raise ValueError("the amount is too large")
        scaled = value.scaleb(decimals, _EXACT)
        whole = int(scaled)
    except Inexact:
        raise ValueError(f"the amount has more than {decimals} decimals") from None
    except InvalidOperation:
        raise ValueError("the amount is not a number") from None
    if scaled != whole:
        raise ValueError(f"the amount has more than {decimals} decimals")
    if abs(whole) > LARGEST:
        raise ValueError("the amount is too large")
    return whole


def unscale(scaled: int, decimals: int) -> int | Decimal:
    """What clients see: an int for a meter without decimals, else a Decimal without trailing zeros."""
    if decimals == 0:
        return scaled
    value = Decimal(scaled).scaleb(-decimals)
    whole = value.to_integral_value()
    return int(whole) if value == whole else value.normalize()
