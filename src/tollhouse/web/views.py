"""What pages show of a customer's meters and book, as typed structs. Pure."""

from decimal import Decimal
from typing import Literal

import msgspec

from tollhouse.catalog.model import Catalog, Meter, MeterKind, PlanVersion
from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.kernel.units import unscale
from tollhouse.ledger.model import Entry, State
from tollhouse.ledger.views import Amount, MeterView, meter_view

Level = Literal["calm", "high", "full"]
WARN_FROM = 80
"""Percent of a quota from which the bar warns (S14)."""


class MeterCard(msgspec.Struct, frozen=True):
    """One meter with its bar. `percent` is what of the bar is filled, 0 to 100."""

    name: str
    label: str
    kind: MeterKind
    total: Amount | None
    used: Amount
    remaining: Amount | None
    percent: int
    level: Level
    resets_at: int | None = None
    minutes: int | None = None  # estimated for what was used (S2, S14)


class Change(msgspec.Struct, frozen=True):
    """What an entry moved on one meter, in the meter's unit."""

    label: str
    amount: Amount


class EntryLine(msgspec.Struct, frozen=True):
    """One line of the book as a page shows it."""

    seq: int
    at: int
    title: str
    kind: str
    changes: tuple[Change, ...]


def meter_card(meter: Meter, view: MeterView) -> MeterCard:
    """The meter's figures with how full it is. A percentage never rounds up to full."""
    percent = filled(view.used, view.total)
    full = view.remaining is not None and view.remaining <= 0
    level: Level = "full" if full else "high" if percent >= WARN_FROM else "calm"
    return MeterCard(
        name=meter.name,
        label=meter.label or meter.name,
        kind=meter.kind,
        total=view.total,
        used=view.used,
        remaining=view.remaining,
        percent=100 if full else percent,
        level=level,
        resets_at=parse_rfc3339(view.resets_at) if view.resets_at else None,
        minutes=int(Decimal(view.used) * meter.minutes_each) if meter.minutes_each else None,
    )


def filled(used: Amount, total: Amount | None) -> int:
    """Whole percent of `total` that is used, rounded down."""
    if total is None or total <= 0:
        return 0
    return min(100, int(Decimal(used) * 100 / Decimal(total)))


def meter_cards(state: State, plan: PlanVersion, catalog: Catalog, now: int) -> list[MeterCard]:
    """Every meter of the customer's plan: credits and quotas first, then the others, in the file's order."""
    cards = [
        meter_card(meter, meter_view(state, plan, meter, now))
        for meter in catalog.meters.values()
        if plan.allows(meter)
    ]
    return sorted(cards, key=lambda card: card.kind not in ("credits", "quota"))


def sample_meter(meter: Meter, amount: Amount | None) -> MeterCard:
    """A meter as it may look after a few days, for the product's own page."""
    total = amount or 1000
    used = int(Decimal(total) * 38 / 100)
    return MeterCard(meter.name, meter.label or meter.name, meter.kind, total, used, total - used, 38, "calm")


def changes(catalog: Catalog, entry: Entry) -> tuple[Change, ...]:
    """What an entry moved, summed by meter, rates left out."""
    sums: dict[str, int] = {}
    for name, _, amount in entry.moves:
        sums[name] = sums.get(name, 0) + amount
    return tuple(
        Change(meter.label or name, unscale(sums[name], meter.decimals))
        for name, meter in catalog.meters.items()
        if sums.get(name) and meter.kind != "rate"
    )
