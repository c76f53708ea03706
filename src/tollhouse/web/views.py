"""What pages show of a customer's meters and book, as typed structs. Pure."""

from decimal import Decimal
from typing import Literal

import msgspec

from tollhouse.catalog.model import Catalog, Meter, MeterKind, PlanVersion
from tollhouse.customers.model import EntryView
from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.ledger.model import State
from tollhouse.ledger.views import Amount, MeterView, meter_view
from tollhouse.pages import formats
from tollhouse.pages.texts import N_, Texts

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
    words: str = ""  # what the bar shows, for everybody to read


class Change(msgspec.Struct, frozen=True):
    """What an entry moved on one meter, in the meter's unit."""

    label: str
    amount: Amount


class EntryLine(msgspec.Struct, frozen=True):
    """One line of the book as a page shows it. `action` is its name in the log."""

    id: str
    at: int
    title: str
    action: str
    changes: tuple[Change, ...]
    remaining: Amount | None


def meter_card(meter: Meter, view: MeterView, texts: Texts) -> MeterCard:
    """The meter's figures with how full it is. A percentage never rounds up to full."""
    percent = filled(view.used, view.total)
    full = view.remaining is not None and view.remaining <= 0
    spent = meter.kind in ("credits", "quota")  # to own as many things as one may is nothing to warn about
    level: Level = "calm" if not spent else "full" if full else "high" if percent >= WARN_FROM else "calm"
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
        words=used_words(view.used, view.total, texts),
    )


def used_words(used: Amount, total: Amount | None, texts: Texts) -> str:
    """`62 of 100 used`."""
    shown = formats.number(used, texts.locale)
    if total is None:
        return texts(N_("%(used)s used, without limit"), used=shown)
    return texts(N_("%(used)s of %(total)s used"), used=shown, total=formats.number(total, texts.locale))


def filled(used: Amount, total: Amount | None) -> int:
    """Whole percent of `total` that is used, rounded down."""
    if total is None or total <= 0:
        return 0
    return min(100, int(Decimal(used) * 100 / Decimal(total)))


def meter_cards(state: State, plan: PlanVersion, catalog: Catalog, now: int, texts: Texts) -> list[MeterCard]:
    """Every meter of the customer's plan: credits and quotas first, then the others, in the file's order."""
    cards = [
        meter_card(meter, meter_view(state, plan, meter, now), texts)
        for meter in catalog.meters.values()
        if plan.allows(meter)
    ]
    return sorted(cards, key=lambda card: card.kind not in ("credits", "quota"))


def sample_meter(meter: Meter, amount: Amount | None, texts: Texts) -> MeterCard:
    """A meter as it may look after a few days, for the product's own page."""
    total = amount or 1000
    used = int(Decimal(total) * 38 / 100)
    return MeterCard(
        meter.name,
        meter.label or meter.name,
        meter.kind,
        total,
        used,
        total - used,
        38,
        "calm",
        words=used_words(used, total, texts),
    )


_TITLES = {
    "opened": N_("Account opened"),
    "grant": N_("Credits added"),
    "expiry": N_("Credits ended"),
    "turn": N_("New period"),
    "plan": N_("Plan changed"),
    "standing": N_("Standing changed"),
    "settlement": N_("Settled at the final cost"),
    "release": N_("Reservation given back"),
    "hold_expiry": N_("Reservation ended by itself"),
    "return": N_("Refund"),
    "lease_end": N_("Session ended"),
    "lease_lapse": N_("Session ended by itself"),
    "lease_again": N_("Session resumed"),
    "unlock": N_("Address confirmed"),
    "correction": N_("Correction"),
    "owned": N_("Made and counted"),
    "create_project": N_("Project created"),
    "plan_upgraded": N_("Plan upgraded"),
    "plan_renewed": N_("Plan renewed"),
    "plan_ended": N_("Plan ended"),
    "past_due": N_("Payment overdue"),
}


def entry_line(catalog: Catalog, view: EntryView, texts: Texts) -> EntryLine:
    """The line with its title in the reader's language; rates are left out of what it changed."""
    tools = {tool.action: tool.title for tool in catalog.tools.values()}
    action = catalog.actions.get(view.action)
    known = _TITLES.get(view.action) or _TITLES.get(view.kind)
    if view.kind in ("admission", "hold", "owned") and action is not None:
        title = tools.get(view.action) or action.label or view.action
    else:
        title = texts(known) if known else view.action
    moved = tuple(
        Change(meter.label or name, view.deltas[name])
        for name, meter in catalog.meters.items()
        if view.deltas.get(name) and meter.kind != "rate"
    )
    remaining = next(iter(view.remaining.values()), None)
    return EntryLine(view.id, parse_rfc3339(view.at), title, view.action, moved, remaining)


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser_name(agent: str, texts: Texts) -> str:
    """`Firefox on Linux`, from what the browser calls itself; the beginning of that where we do not know it."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    if browser and system:
        return texts(N_("%(browser)s on %(system)s"), browser=browser, system=system)
    return browser or agent[:40]
