"""Money on lines: minor units, rounded half up where a price has fractions of a minor unit."""

from decimal import ROUND_HALF_UP, Decimal

from tollhouse_sandbox.documents import Doc

# docs.stripe.com/currencies#zero-decimal; UGX is a special case there, with hundredths that are always 00
ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "CA$", "aud": "A$", "chf": "CHF "}


def line_amount(price: Doc, quantity: int) -> int:
    """What so many of the price cost."""
    if price["unit_amount"] is not None:
        return int(price["unit_amount"]) * quantity
    exact = Decimal(price["unit_amount_decimal"] or "0") * quantity
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def money(amount: int, currency: str) -> str:
    """The amount for a reader, such as `$9.00` or `12.50 SEK`."""
    figure = f"{abs(amount):,}" if currency in ZERO_DECIMAL else f"{abs(amount) // 100:,}.{abs(amount) % 100:02d}"
    sign = "-" if amount < 0 else ""
    mark = _SIGNS.get(currency)
    return f"{sign}{mark}{figure}" if mark else f"{sign}{figure} {currency.upper()}"


def every(recurring: Doc) -> str:
    """`month`, or `3 months`."""
    count = recurring["interval_count"]
    return recurring["interval"] if count == 1 else f"{count} {recurring['interval']}s"
