"""Numbers, money, dates and durations as the reader's language writes them. Times are shown in UTC."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_compact_decimal, format_currency, format_decimal, format_percent, get_currency_symbol

from tollhouse.kernel.money import minor_digits
from tollhouse.ledger.views import Amount

_TERRITORIES = {"en": "en_US", "fr": "fr_FR"}


def number(value: Amount, locale: str) -> str:
    """`1,250.5` or `1 250,5`: every decimal that the amount has."""
    return format_decimal(value, format="#,##0.######", locale=locale)


def signed(value: Amount, locale: str) -> str:
    """A change of a balance: `+1,000`, `−50` (a true minus sign)."""
    text = number(value if value > 0 else -value, locale)
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else text


def compact(value: Amount, locale: str) -> str:
    """`12K`, where a full number would not fit."""
    return format_compact_decimal(value, locale=locale, fraction_digits=1)


def money(amount_minor: int, currency: str, locale: str) -> str:
    """`$9`, `€4.50`, `4,50 €`, `KWD 5.124`: without cents where there are none."""
    digits = minor_digits(currency)
    value = Decimal(amount_minor).scaleb(-digits)
    place = Locale.parse(_TERRITORIES.get(locale, locale))
    pattern = place.currency_formats["standard"].pattern
    pattern = pattern.replace(".00", "." + "0" * digits if value != value.to_integral_value() else "")
    code = currency.upper()
    if pattern.startswith("¤") and get_currency_symbol(code, place)[-1].isalpha():
        pattern = pattern.replace("¤", "¤\u00a0")
    return format_currency(value, code, pattern, locale=place, currency_digits=False)


def percent(value: float, locale: str) -> str:
    """`80%`, `80 %`; the value is 0 to 1."""
    return format_percent(value, locale=locale)


def exact_percent(text: str, locale: str) -> str:
    """`99.9%`, `99,9 %`, of a percentage written as `99.9`: every digit kept."""
    return format_percent(Decimal(text) / 100, locale=locale, decimal_quantization=False)


_RELATIONS = frozenset("a an by for of per à au de des du en par pour sur".split())


def unit(label: str, amount: Amount) -> str:
    """The plural label of a meter as it stands after this amount: `sessions`, but one `session`.

    Catalogues name meters in the plural. English and French both drop the s of each word before the first preposition:
    `requêtes par minute` becomes `requête par minute`.
    """
    if abs(amount) != 1:
        return label
    words = label.split(" ")
    length = next((place for place, word in enumerate(words) if word in _RELATIONS), len(words))
    head = [word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] != "s" else word for word in words[:length]]
    return " ".join([*head, *words[length:]])


def day(at_ms: int, locale: str) -> str:
    """`1 Dec 2026`."""
    return format_date(_moment(at_ms).date(), format="d MMM y", locale=locale)


def moment(at_ms: int, locale: str) -> str:
    """`20 Nov 2026, 11:04 UTC`."""
    return format_datetime(_moment(at_ms), "d MMM y, HH:mm", tzinfo=UTC, locale=locale) + " UTC"


def duration(milliseconds: int, locale: str) -> str:
    """`48 hours`, `2 minutes`: rounded to its largest unit."""
    seconds = max(1, milliseconds // 1000)
    if seconds >= 3600:
        return format_timedelta(timedelta(hours=seconds // 3600), granularity="hour", threshold=10_000, locale=locale)
    if seconds >= 60:
        return format_timedelta(timedelta(minutes=seconds // 60), granularity="minute", threshold=10_000, locale=locale)
    return format_timedelta(timedelta(seconds=seconds), granularity="second", threshold=10_000, locale=locale)


def iso(at_ms: int) -> str:
    """For the `datetime` attribute of `<time>`."""
    return _moment(at_ms).isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def filters(locale: str) -> dict[str, Callable[..., str]]:
    """The filters of templates in this language."""
    return {
        "number": lambda value: number(value, locale),
        "signed": lambda value: signed(value, locale),
        "compact": lambda value: compact(value, locale),
        "money": lambda amount, currency: money(amount, currency, locale),
        "percent": lambda value: percent(value, locale),
        "exact_percent": lambda text: exact_percent(text, locale),
        "unit": unit,
        "day": lambda at_ms: day(at_ms, locale),
        "moment": lambda at_ms: moment(at_ms, locale),
        "duration": lambda milliseconds: duration(milliseconds, locale),
        "iso": iso,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
    }
