"""What the catalogue sells, as the landing and pricing pages show it. Pure."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tollhouse.billing.quotes import Quote
from tollhouse.catalog.model import Catalog, Every, Meter, PackPrice, PlanVersion, Price, Support
from tollhouse.kernel.units import unscale
from tollhouse.ledger.views import Amount


class Allowance(msgspec.Struct, frozen=True):
    """What a plan gives of one meter. `amount` None is without limit; `once` is a grant that does not come again."""

    label: str
    kind: str
    amount: Amount | None
    period: str = ""
    minutes: int | None = None  # estimated for the whole allowance, shown in small print (S2)
    once: bool = False


class PlanOffer(msgspec.Struct, frozen=True):
    """One plan on the pricing page, at one of its prices."""

    plan: str
    title: str
    description: str
    features: tuple[str, ...]
    first: Allowance | None  # credits or sessions: what the plan is about
    allowances: dict[str, Allowance]  # by meter
    support: Support
    price: Price | None
    monthly_minor: int | None  # a yearly price, for each month
    saving: float | None  # of a yearly price over twelve months, 0 to 1
    state: str  # current, free, buy, contact, elsewhere (sold, and not in the customer's currency)
    marked: bool
    quote: Quote | None = None  # staff's, for the customer who looks

    @property
    def quoted_minor(self) -> int | None:
        """What the customer pays in place of the price, where staff have quoted."""
        return (
            self.quote.price_of(self.price.amount_minor) if self.quote is not None and self.price is not None else None
        )


class PackOffer(msgspec.Struct, frozen=True):
    """Credits to be bought once, at the price in the reader's currency or the first one, or at one of the `others`.

    `lasts_ms` None: they never expire.
    """

    pack: str
    title: str
    description: str
    amount: Amount
    label: str
    price_minor: int
    currency: str
    others: tuple[PackPrice, ...]
    lasts_ms: int | None


class ToolOffer(msgspec.Struct, frozen=True):
    """A tool or action and what it costs, on each meter that is not a rate."""

    name: str
    title: str
    description: str
    cost: tuple[Allowance, ...]


def first_meter(catalog: Catalog) -> Meter | None:
    """What the product is sold by: its first credits meter, else its first quota, else whatever comes first."""
    for kind in ("credits", "quota"):
        for meter in catalog.meters.values():
            if meter.kind == kind:
                return meter
    return next(iter(catalog.meters.values()), None)


def offers(
    catalog: Catalog,
    every: Every,
    *,
    current: str | None = None,
    marked: str | None = None,
    currency: str | None = None,
    own: str | None = None,
) -> list[PlanOffer]:
    """Every plan in the file's order, priced by the month or the year where it has such a price.

    `currency` is preferred where a plan is sold in it. Whoever has bought something is shown prices in its `own` only.
    """
    first = first_meter(catalog)
    chosen = marked if marked in catalog.plans else _next_plan(catalog, current)
    shown = [plan for plan in catalog.plans.values() if not plan.retired or plan.plan == current]
    return [_offer(catalog, plan, first, every, current, chosen, (currency, own)) for plan in shown]


def with_quotes(offered: Sequence[PlanOffer], quotes: Sequence[Quote]) -> list[PlanOffer]:
    """The same offers with the customer's open quotes, each at the plan and term that it is for."""
    known = {(quote.plan, quote.every, quote.currency): quote for quote in quotes if quote.status == "open"}
    return [
        msgspec.structs.replace(one, quote=known.get((one.plan, one.price.every, one.price.currency)))
        if one.price is not None and one.state == "buy"
        else one
        for one in offered
    ]


def has_both_periods(catalog: Catalog, own: str | None = None) -> bool:
    """Whether any plan can be bought by the month and by the year (U1), in a customer's own currency where it has one."""
    return any(
        {price.every for price in plan.prices if own in (None, price.currency)} >= {"month", "year"}
        for plan in catalog.on_sale
    )


def best_saving(catalog: Catalog, currency: str | None = None) -> float | None:
    """The largest part that a year saves over twelve months, 0 to 1; in this currency, where one is chosen."""
    yearly = [
        (plan, price)
        for plan in catalog.on_sale
        for price in plan.prices
        if price.every == "year" and currency in (None, price.currency)
    ]
    return max((saving for plan, price in yearly if (saving := _saving(plan, price)) is not None), default=None)


def currencies_of(catalog: Catalog) -> list[str]:
    """Every currency in which something is sold, in the file's order."""
    found = [price.currency for plan in catalog.on_sale for price in plan.prices]
    found += [price.currency for pack in catalog.packs.values() for price in pack.prices]
    return list(dict.fromkeys(found))


def tool_offers(catalog: Catalog) -> list[ToolOffer]:
    """Every tool with its cost."""
    return [
        ToolOffer(tool.name, tool.title, tool.description, costs(catalog, tool.action))
        for tool in catalog.tools.values()
    ]


def pack_offers(catalog: Catalog, currency: str | None = None, own: str | None = None) -> list[PackOffer]:
    """Every pack in the file's order; of those sold in the customer's own currency where it has one."""
    offered = []
    for pack in catalog.packs.values():
        meter = catalog.meters[pack.meter]
        sold = [price for price in pack.prices if own in (None, price.currency)]
        if not sold:
            continue
        price = next((price for price in sold if price.currency == currency), sold[0])
        offered.append(
            PackOffer(
                pack.name,
                pack.title,
                pack.description,
                unscale(pack.amount, meter.decimals),
                meter.label or meter.name,
                price.amount_minor,
                price.currency,
                tuple(other for other in sold if other != price),
                pack.expires_after_ms,
            )
        )
    return offered


def action_offers(catalog: Catalog) -> list[ToolOffer]:
    """Every action that is no launch of a tool, with its cost."""
    launches = {tool.action for tool in catalog.tools.values()}
    return [
        ToolOffer(action.name, action.label or action.name, "", costs(catalog, action.name))
        for action in catalog.actions.values()
        if action.name not in launches
    ]


def costs(catalog: Catalog, action: str) -> tuple[Allowance, ...]:
    """What an action takes, without its rates: those limit and cost nothing."""
    taken = catalog.actions[action].cost
    return tuple(
        Allowance(meter.label or name, meter.kind, unscale(taken[name], meter.decimals))
        for name, meter in catalog.meters.items()
        if name in taken and meter.kind not in ("rate", "lease")
    )


def allowance(plan: PlanVersion, meter: Meter) -> Allowance | None:
    """What the plan gives of this meter; None when it does not name it."""
    if not plan.allows(meter):
        return None
    label = meter.label or meter.name
    if meter.kind == "credits":
        granted = sum(grant.amount for grant in plan.grants if grant.meter == meter.name)
        return Allowance(label, meter.kind, unscale(granted, meter.decimals), "month", once=not plan.prices)
    limit = plan.limits[meter.name]
    amount = None if limit is None else unscale(limit, meter.decimals)
    minutes = None if limit is None or not meter.minutes_each else int(Decimal(amount or 0) * meter.minutes_each)
    return Allowance(label, meter.kind, amount, meter.period if meter.kind == "quota" else "", minutes)


def _offer(
    catalog: Catalog,
    plan: PlanVersion,
    first: Meter | None,
    every: Every,
    current: str | None,
    marked: str | None,
    currencies: tuple[str | None, str | None],
) -> PlanOffer:
    price = _price_shown(plan, every, *currencies)
    given = {name: found for name, meter in catalog.meters.items() if (found := allowance(plan, meter)) is not None}
    state = "buy" if price else "contact" if plan.contact_only else "elsewhere" if plan.prices else "free"
    return PlanOffer(
        plan=plan.plan,
        title=plan.title,
        description=plan.description,
        features=plan.features,
        first=given.get(first.name) if first else None,
        allowances=given,
        support=plan.support,
        price=price,
        monthly_minor=price.amount_minor // 12 if price and price.every == "year" else None,
        saving=_saving(plan, price),
        state="current" if plan.plan == current else state,
        marked=plan.plan == marked,
    )


def _price_shown(plan: PlanVersion, every: Every, currency: str | None, own: str | None) -> Price | None:
    """In the customer's own currency or none; else in the preferred one, the period before the currency."""
    if own is not None:
        sold = [price for price in plan.prices if price.currency == own]
    else:
        sold = sorted(plan.prices, key=lambda price: price.currency != currency)
    return next((price for price in sold if price.every == every), sold[0] if sold else None)


def _saving(plan: PlanVersion, price: Price | None) -> float | None:
    monthly: Sequence[Price] = [p for p in plan.prices if p.every == "month" and price and p.currency == price.currency]
    if price is None or price.every != "year" or not monthly or monthly[0].amount_minor == 0:
        return None
    saved = 1 - price.amount_minor / (12 * monthly[0].amount_minor)
    return saved if saved > 0 else None


def _next_plan(catalog: Catalog, current: str | None) -> str | None:
    """The plan to put forward: the cheapest that can be bought above the present one."""
    rank = catalog.plans[current].rank if current in catalog.plans else -1
    return next((plan.plan for plan in catalog.on_sale if plan.prices and plan.rank > rank), None)
