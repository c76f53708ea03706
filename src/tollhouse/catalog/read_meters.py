"""Reads `[product]` and `[meters]` of the file."""

import re
from typing import get_args

from tollhouse.catalog.model import Meter, MeterKind, Product
from tollhouse.kernel.durations import parse_duration
from tollhouse.kernel.periods import Unit
from tollhouse.settings.problems import shown
from tollhouse.settings.reader import Table

MOST_DECIMALS = 6
LOCALES = ("en", "fr")
_PER = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_PER_ALLOWED = '"second", "minute", "hour", "day" or a duration such as "10s"'
_WHOLE_KINDS = ("lease", "count")
_WEB = re.compile(r"https?://[^\s]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def read_product(table: Table) -> Product:
    """The product; its name is required."""
    product = Product(
        name=table.text("name", "the product's name", required=True, longest=80),
        tagline=table.text("tagline", longest=200),
        url=_matching(table, "url", _WEB, "a web address such as https://example.com"),
        support_email=_matching(table, "support_email", _EMAIL, "an e-mail address"),
        default_locale=table.choice("default_locale", LOCALES, "en") or "en",
        provider_note=table.text("provider_note", longest=300),
    )
    table.finish()
    return product


def read_meter(name: str, table: Table) -> Meter | None:
    """One meter; None when its kind is not known."""
    kinds: tuple[MeterKind, ...] = get_args(MeterKind)
    chosen = table.choice("kind", kinds, None)
    kind = next((known for known in kinds if known == chosen), None)
    decimals = _decimals(table, kind)
    label = table.text("label", longest=60) or name.replace("_", " ")
    if kind is None:
        return None
    period: Unit = "month"
    window_ms = ttl_ms = minutes_each = 0
    if kind == "quota":
        units: tuple[Unit, ...] = get_args(Unit)
        named = table.choice("period", units, "month")
        period = next((unit for unit in units if unit == named), "month")
        minutes_each = table.integer("minutes_each", "whole minutes for one unit", most=10_000, default=0) or 0
    elif kind == "rate":
        window_ms = _window(table)
    elif kind == "lease":
        ttl_ms = table.duration_ms("ttl", 'a duration such as "90s", from 5s to 24h', required=True) or 90_000
        if not 5_000 <= ttl_ms <= 86_400_000:
            table.problem("ttl", shown(table.values["ttl"]), "a duration from 5s to 24h", 'write ttl = "90s"')
    table.finish()
    return Meter(
        name=name, kind=kind, decimals=decimals, period=period, window_ms=window_ms, ttl_ms=ttl_ms,
        minutes_each=minutes_each, label=label,
    )  # fmt: skip


def _decimals(table: Table, kind: MeterKind | None) -> int:
    allowed = f"a whole number from 0 to {MOST_DECIMALS}"
    decimals = table.integer("decimals", allowed, most=MOST_DECIMALS, default=0) or 0
    if decimals and kind in _WHOLE_KINDS:
        table.problem("decimals", str(decimals), f"no decimals: a {kind} counts whole things", "take decimals out")
        return 0
    return decimals


def _window(table: Table) -> int:
    per = table.text("per", _PER_ALLOWED, required=True)
    if not per:
        return _PER["minute"]
    try:
        window_ms = _PER.get(per) or parse_duration(per)
    except ValueError:
        window_ms = 0
    if not 1_000 <= window_ms <= 86_400_000:
        table.problem("per", shown(per), f"{_PER_ALLOWED}, from 1s to 24h", 'write per = "minute"')
        return _PER["minute"]
    return window_ms


def _matching(table: Table, key: str, form: re.Pattern[str], allowed: str) -> str:
    text = table.text(key, allowed)
    if text and not form.fullmatch(text):
        table.problem(key, shown(text), allowed, f"correct {key}, or take it out")
    return text
