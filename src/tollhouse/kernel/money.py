"""Money: integer minor units with an ISO 4217 currency; never a float."""

import msgspec

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split())
"""Currencies whose minor unit is the whole unit, as Stripe lists them (docs.stripe.com/currencies)."""


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units (cents, or yen) of one currency (lower case)."""

    amount_minor: int
    currency: str


def minor_digits(currency: str) -> int:
    """Digits after the decimal point: 2, or 0 for a zero-decimal currency."""
    return 0 if currency.lower() in ZERO_DECIMAL else 2
