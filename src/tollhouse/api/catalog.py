"""`GET /v1/catalog`: what this instance sells and what actions cost, for the product's own servers and for `selftest`."""

import msgspec
from litestar import Router, get

from tollhouse.api.answers import SECRET_KEY_SECURITY, TheHouse
from tollhouse.api.sessions import server_only
from tollhouse.catalog.model import Action, Catalog, Meter, Pack, PlanVersion
from tollhouse.house import House
from tollhouse.kernel.units import unscale
from tollhouse.ledger.views import Amount


class MeterOffer(msgspec.Struct, frozen=True):
    """Something that is limited; amounts on it have at most so many decimals."""

    kind: str
    decimals: int
    label: str


class ActionOffer(msgspec.Struct, frozen=True):
    """What an action costs, by meter; the caller may name the amount on the meters of `priced_by`."""

    label: str
    cost: dict[str, Amount]
    priced_by: list[str]


class ToolOffer(msgspec.Struct, frozen=True):
    """A tool of the pages, and the action that launching it is."""

    title: str
    action: str


class PriceOffer(msgspec.Struct, frozen=True):
    """Minor units of a currency, for a month or a year."""

    amount: int
    currency: str
    every: str


class PlanOffer(msgspec.Struct, frozen=True):
    """A plan as it is sold now. `limits`: null is unlimited. `credits`: granted each time its period is paid.

    `adds`: credits that join what is left. `verified_only`: credits that wait for a verified e-mail address.
    """

    plan: str
    version: int
    title: str
    limits: dict[str, Amount | None]
    credits: dict[str, Amount]
    adds: list[str]
    verified_only: list[str]
    prices: list[PriceOffer]


class PackPriceOffer(msgspec.Struct, frozen=True):
    """Minor units of a currency, paid once."""

    amount: int
    currency: str


class PackOffer(msgspec.Struct, frozen=True):
    """Credits that are bought once; the first price is the one of who names no currency. `expires_after_seconds` counts
    from the payment; null: never.
    """

    pack: str
    title: str
    description: str
    credits: dict[str, Amount]
    prices: list[PackPriceOffer]
    expires_after_seconds: int | None


class CatalogView(msgspec.Struct, frozen=True):
    """The whole catalogue; plans from the smallest to the largest, packs as the file has them."""

    product: str
    free_plan: str
    meters: dict[str, MeterOffer]
    actions: dict[str, ActionOffer]
    tools: dict[str, ToolOffer]
    plans: list[PlanOffer]
    packs: list[PackOffer]


@get("/v1/catalog", summary="Read the catalogue", tags=["Catalogue"])
async def read_catalog(house: TheHouse) -> CatalogView:
    """Meters, actions with their cost, tools, plans with their limits and prices, credit packs."""
    catalog = house.catalog
    return CatalogView(
        catalog.product.name,
        catalog.free_plan,
        {name: MeterOffer(meter.kind, meter.decimals, meter.label) for name, meter in catalog.meters.items()},
        {name: _action(action, catalog) for name, action in catalog.actions.items()},
        {name: ToolOffer(tool.title, tool.action) for name, tool in catalog.tools.items()},
        [_plan(plan, catalog.meters) for plan in sorted(catalog.on_sale, key=lambda plan: plan.rank)],
        [_pack(pack, catalog.meters) for pack in catalog.packs.values()],
    )


def _action(action: Action, catalog: Catalog) -> ActionOffer:
    cost = {meter: unscale(amount, catalog.meters[meter].decimals) for meter, amount in action.cost.items()}
    return ActionOffer(action.label, cost, list(action.priced_by_caller))


def _plan(plan: PlanVersion, meters: dict[str, Meter]) -> PlanOffer:
    credits: dict[str, Amount] = {}
    for grant in plan.grants:
        credits[grant.meter] = credits.get(grant.meter, 0) + unscale(grant.amount, meters[grant.meter].decimals)
    return PlanOffer(
        plan.plan,
        plan.version,
        plan.title,
        {name: None if limit is None else unscale(limit, meters[name].decimals) for name, limit in plan.limits.items()},
        credits,
        [grant.meter for grant in plan.grants if grant.mode == "add"],
        [grant.meter for grant in plan.grants if grant.verified_only],
        [PriceOffer(price.amount_minor, price.currency, price.every) for price in plan.prices],
    )


def _pack(pack: Pack, meters: dict[str, Meter]) -> PackOffer:
    return PackOffer(
        pack.name,
        pack.title,
        pack.description,
        {pack.meter: unscale(pack.amount, meters[pack.meter].decimals)},
        [PackPriceOffer(price.amount_minor, price.currency) for price in pack.prices],
        None if pack.expires_after_ms is None else pack.expires_after_ms // 1000,
    )


def catalog_routes(house: House) -> Router:
    """The route, for callers with a secret key."""
    return Router("/", route_handlers=[read_catalog], guards=[server_only(house)], security=SECRET_KEY_SECURITY)
