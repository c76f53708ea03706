"""Money: integer minor units with an ISO 4217 currency; never a float."""

from decimal import Decimal

import msgspec

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
"""Currencies whose minor unit is the whole unit, as Stripe lists them (docs.stripe.com/currencies)."""

WHOLE_HUNDREDS = frozenset({"isk", "ugx"})
"""Currencies without cents of which Stripe takes hundredths all the same: 5 UGX are 500 (there under 'special cases')."""

THREE_DECIMAL = frozenset("bhd iqd jod kwd lyd omr tnd".split())
"""Currencies with thousandths, as Stripe lists them. The catalogue sells in none of them; Stripe's own pages may."""


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units (cents, or yen) of one currency (lower case)."""

    amount_minor: int
    currency: str


def minor_digits(currency: str) -> int:
    """Digits after the decimal point: 2, 0 for a zero-decimal currency, 3 for one with thousandths."""
    code = currency.lower()
    return 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2


def written(money: Money) -> str:
    """`9.00 USD`, `1,200 JPY`: for lines that machines and people read."""
    digits = minor_digits(money.currency)
    return f"{Decimal(money.amount_minor).scaleb(-digits):,.{digits}f} {money.currency.upper()}"
