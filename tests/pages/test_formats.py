"""Numbers, money and dates as each language writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tollhouse.kernel.clock import HOUR, parse_rfc3339
from tollhouse.pages import formats


@pytest.mark.row("X12")
@pytest.mark.parametrize(
    ("amount", "currency", "english", "french"),
    [
        (900, "usd", "$9", "9\u00a0$US"),
        (49_900, "usd", "$499", "499\u00a0$US"),
        (450, "eur", "€4.50", "4,50\u00a0€"),
        (0, "eur", "€0", "0\u00a0€"),
        (1_200, "jpy", "¥1,200", "1\u202f200\u00a0JPY"),
        (50_000, "krw", "₩50,000", "50\u202f000\u00a0₩"),
        (5_124, "kwd", "KWD\u00a05.124", "5,124\u00a0KWD"),
        (5_000, "kwd", "KWD\u00a05", "5\u00a0KWD"),
    ],
)
def test_money_has_cents_only_where_there_are_some(amount: int, currency: str, english: str, french: str) -> None:
    assert formats.money(amount, currency, "en") == english
    assert formats.money(amount, currency, "fr") == french


def test_numbers_keep_every_decimal() -> None:
    assert formats.number(Decimal("1250.125"), "en") == "1,250.125"
    assert formats.number(Decimal("0.5"), "fr") == "0,5"
    assert formats.signed(-50, "en") == "−50"
    assert formats.signed(1000, "en") == "+1,000"
    assert formats.signed(0, "en") == "0"


def test_times_are_utc_and_say_so() -> None:
    at = parse_rfc3339("2026-12-01T23:30:00Z")
    assert formats.moment(at, "en") == "1 Dec 2026, 23:30 UTC"
    assert formats.day(at, "fr") == "1 déc. 2026"
    assert formats.iso(at) == "2026-12-01T23:30:00Z"


def test_support_levels_are_told_in_hours() -> None:
    assert formats.duration(90_000, "en") == "1 minute"
    assert formats.duration(30_000, "en") == "30 seconds"
    assert formats.duration(48 * HOUR, "en") == "48 hours"
    assert formats.duration(24 * HOUR, "fr") == "24\u00a0heures"


def test_a_promised_availability_keeps_its_digits() -> None:
    assert formats.exact_percent("99.9", "en") == "99.9%"
    assert formats.exact_percent("99.95", "fr") == "99,95\u00a0%"


@pytest.mark.parametrize(
    ("label", "amount", "shown"),
    [
        ("sessions", 2, "sessions"),
        ("sessions", 1, "session"),
        ("projets", -1, "projet"),
        ("requêtes par minute", 1, "requête par minute"),
        ("sessions simultanées", 1, "session simultanée"),
        ("crédits", Decimal("0.5"), "crédits"),
        ("pass", 1, "pass"),
    ],
)
def test_one_of_a_thing_is_told_in_the_singular(label: str, amount: int, shown: str) -> None:
    assert formats.unit(label, amount) == shown
