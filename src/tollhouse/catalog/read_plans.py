"""Reads `[plans]` of the file: prices, limits, credits and support."""

import re
from decimal import Decimal

import msgspec

from tollhouse.catalog.currencies import CURRENCIES
from tollhouse.catalog.model import Every, Grant, LotMode, Meter, OnUpgrade, PlanVersion, Price, Support
from tollhouse.catalog.read_amounts import amount_of, meter_of
from tollhouse.kernel.money import THREE_DECIMAL, WHOLE_HUNDREDS, minor_digits
from tollhouse.settings.problems import did_you_mean, shown
from tollhouse.settings.reader import Table

UNLIMITED = "unlimited"
ON_UPGRADE: dict[str, OnUpgrade] = {"replace": "replace", "difference": "difference", "none": "none"}
LARGEST_PRICE = 99_999_999
"""Stripe takes amounts of at most eight digits (docs.stripe.com/currencies#minimum-and-maximum-charge-amounts)."""
CHANNELS = ("community", "email", "chat", "priority", "phone", "dedicated")
_LOOKUP_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_PRICE_ID = re.compile(r"price_[A-Za-z0-9_]{3,250}")
_PRODUCT_ID = re.compile(r"prod_[A-Za-z0-9_]{3,250}")


def read_plan(
    name: str, rank: int, table: Table, meters: dict[str, Meter], unread: frozenset[str]
) -> tuple[PlanVersion, bool]:
    """One plan as its first version, and whether it is marked as the free one."""
    free = table.boolean("free", default=name == "free")
    prices = tuple(price for item in table.array("prices", "prices") if (price := _price(name, item)) is not None)
    plan = PlanVersion(
        plan=name,
        version=1,
        title=table.text("title", longest=60) or name.replace("_", " ").replace("-", " ").capitalize(),
        rank=rank,
        limits=_limits(table, meters, unread),
        grants=_grants(table, meters, unread),
        prices=prices,
        support=_support(table),
        description=table.text("description", longest=300),
        features=table.texts("features", "a list of texts"),
        badge=table.boolean("badge"),
        contact_only=table.boolean("contact_only"),
        retired=table.boolean("retired"),
        stripe_products=table.texts("stripe_products", "product ids such as prod_Abc", _PRODUCT_ID),
    )
    if plan.retired:  # what is not even shown is sold by nothing
        plan = msgspec.structs.replace(plan, contact_only=True)
    _check_whole(table, plan, free)
    table.finish()
    return plan, free


def _check_whole(table: Table, plan: PlanVersion, free: bool) -> None:
    if free and plan.retired:
        table.problem("retired", "a retired free plan", "one that people sign up on", "take retired out")
    if free and table.values.get("prices"):
        table.problem("prices", "prices on the free plan", "no prices", "take them out, or write free = false")
    if free and any(grant.on_upgrade != "replace" or grant.rollover != 0 for grant in plan.grants):
        fix = "write it in the plans that are paid for: the free plan is neither moved up to nor renewed"
        table.problem("credits", "on_upgrade or rollover on the free plan", "neither of them", fix)
    if not free and not table.values.get("prices") and not plan.contact_only:
        example = '{ amount = 900, currency = "usd", every = "month" }'
        fix = f"write prices = [ {example} ], or free = true, or contact_only = true"
        table.problem("prices" if "prices" in table.values else None, "no price", "a price", fix)
    seen: set[tuple[str, str]] = set()
    for price in plan.prices:
        if (price.currency, price.every) in seen:
            found = f"two prices in {price.currency} for a {price.every}"
            table.problem("prices", found, "one price for each currency and period", "take one of them out")
        seen.add((price.currency, price.every))


def _price(plan: str, table: Table) -> Price | None:
    named = table.choice("every", ("month", "year"), None)
    every: Every | None = "month" if named == "month" else "year" if named == "year" else None
    currency = read_currency(table)
    amount = read_money(table, currency)
    lookup_key = table.text("lookup_key", longest=200)
    if lookup_key and not _LOOKUP_KEY.fullmatch(lookup_key):
        allowed = "letters, digits and _ . : - (at most 200)"
        table.problem("lookup_key", shown(lookup_key), allowed, "correct it, or take it out")
    stripe_price = table.text("stripe_price")
    if stripe_price and not _PRICE_ID.fullmatch(stripe_price):
        fix = "copy the price's id from Stripe's dashboard, or take it out: prices are found by their lookup key"
        table.problem("stripe_price", shown(stripe_price), "a price id such as price_1Sabc", fix)
    table.finish()
    if every is None or currency is None or amount is None:
        return None
    key = lookup_key or f"tollhouse_{plan}_{every}_{currency}"
    return Price(amount_minor=amount, currency=currency, every=every, lookup_key=key, stripe_price=stripe_price or None)


def read_currency(table: Table) -> str | None:
    """The currency of a price, in lower case; None when it is wrong."""
    allowed = "an ISO 4217 code such as usd or eur"
    text = table.text("currency", allowed, required=True)
    code = text.lower()
    if not text or code in CURRENCIES:
        return code or None
    if code in THREE_DECIMAL:
        table.problem("currency", shown(text), "a currency with two decimals, or none", "sell in another currency")
        return None
    close = did_you_mean(code, CURRENCIES)
    table.problem("currency", shown(text), allowed, f"did you mean {close}?" if close else 'write currency = "eur"')
    return None


def read_money(table: Table, currency: str | None) -> int | None:
    """The amount of a price in minor units; None when it is wrong."""
    allowed = "a whole number of minor units, 0 or more"
    value = table.number("amount")
    if isinstance(value, Decimal):
        digits = minor_digits(currency or "usd")
        minor = value.scaleb(digits)
        whole = minor == minor.to_integral_value() and 0 <= minor <= LARGEST_PRICE
        fix = (
            f"write {int(minor)} for {value} {currency or ''}".rstrip() if whole else "write it in minor units (cents)"
        )
        table.problem("amount", str(value), allowed, fix)
        return None
    amount = table.integer("amount", allowed, most=LARGEST_PRICE)
    if amount is not None and currency in WHOLE_HUNDREDS and amount % 100:
        allowed = f"hundredths that are 00: {currency} has no cents, and Stripe counts it in hundredths all the same"
        table.problem("amount", str(amount), allowed, f"write {amount * 100} for {amount} {currency}")
        return None
    return amount


def _limits(table: Table, meters: dict[str, Meter], unread: frozenset[str]) -> dict[str, int | None]:
    limits: dict[str, int | None] = {}
    given = table.table("limits", "a limit for each meter")
    for name in given.values if given is not None else ():
        if given is None or (meter := meter_of(given, name, meters, unread)) is None:
            continue
        value = given.values[name]
        if meter.kind == "credits":
            fix = f"write credits = {{ {name} = {value if isinstance(value, int) else 1000} }} in this plan"
            given.problem(name, "a limit on a credits meter", "limits on quota, rate, lease and count meters", fix)
        elif value == UNLIMITED:
            limits[name] = None
        elif isinstance(value, str):
            given.problem(name, shown(value), 'a number or "unlimited"', f'write {name} = "unlimited", or a number')
        elif (amount := amount_of(given, name, meter, least=0)) is not None:
            limits[name] = amount
    return limits


def _grants(table: Table, meters: dict[str, Meter], unread: frozenset[str]) -> tuple[Grant, ...]:
    given = table.table("credits", "the credits that come with the plan, by meter")
    if given is None:
        return ()
    grants = [_grant(given, name, meters, unread) for name in given.values]
    return tuple(grant for grant in grants if grant is not None)


def _grant(given: Table, name: str, meters: dict[str, Meter], unread: frozenset[str]) -> Grant | None:
    meter = meter_of(given, name, meters, unread)
    if meter is None:
        return None
    if meter.kind != "credits":
        fix = f"write limits = {{ {name} = … }} for a {meter.kind} meter"
        given.problem(name, f"a grant on a {meter.kind} meter", "grants on credits meters", fix)
        return None
    if not isinstance(given.values[name], dict):
        amount = amount_of(given, name, meter, least=1)
        return Grant(meter=name, amount=amount) if amount is not None else None
    detail = given.table(name)
    if detail is None:
        return None
    detail.has("amount")
    amount = amount_of(detail, "amount", meter, least=1)
    chosen = detail.choice("mode", ("replace", "add"), "replace")
    mode: LotMode = "add" if chosen == "add" else "replace"
    verified_only = detail.boolean("verified_only")
    on_upgrade = ON_UPGRADE.get(detail.choice("on_upgrade", ON_UPGRADE, "replace") or "replace", "replace")
    rollover = _rollover(detail, meter, mode)
    detail.finish()
    return Grant(name, amount, mode, verified_only, on_upgrade, rollover) if amount is not None else None


def _rollover(detail: Table, meter: Meter, mode: LotMode) -> int | None:
    """The ceiling of what is carried over: 0 by default, None when there is none."""
    if not detail.has("rollover"):
        return 0
    value = detail.values["rollover"]
    if mode == "add":
        found = f'{shown(value)} with mode = "add"'
        detail.problem("rollover", found, 'rollover with mode = "replace"', "take it out: what is added stays anyway")
        return 0
    if value == UNLIMITED:
        return None
    if isinstance(value, str):
        fix = 'write rollover = "unlimited", or the most that is carried over'
        detail.problem("rollover", shown(value), 'a number or "unlimited"', fix)
        return 0
    return amount_of(detail, "rollover", meter, least=0) or 0


def _support(table: Table) -> Support:
    given = table.table("support", 'the support level, such as { channel = "email", answer_within = "48h" }')
    if given is None:
        return Support()
    channel = given.choice("channel", CHANNELS, "community") or "community"
    answer_within_ms = given.duration_ms("answer_within", 'a duration such as "48h"')
    sla = given.values["sla"] if given.has("sla") else None
    percent = str(sla).removesuffix("%").strip() if isinstance(sla, (str, int, Decimal)) else ""
    if sla is not None and not (re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,4})?", percent) and 0 < Decimal(percent) <= 100):
        given.problem("sla", shown(sla), "a percentage such as 99.9", "write sla = 99.9")
        percent = ""
    given.finish()
    return Support(channel=channel, answer_within_ms=answer_within_ms, sla_percent=percent or None)
