"""Products and prices in Stripe as the catalogue says. Run again it makes nothing twice (row S13)."""

import re
from typing import Literal

import msgspec

from tollhouse.billing.model import PACK_KEY, PLAN_KEY, PriceFacts, SoldPrice
from tollhouse.billing.prices import save_price
from tollhouse.billing.stripe import StripeGateway
from tollhouse.catalog.model import Catalog, Pack, PackPrice, PlanVersion, Price
from tollhouse.kernel.errors import ConfigurationError, NotFound
from tollhouse.store import Store

Outcome = Literal["found", "created", "replaced"]


class PriceOutcome(msgspec.Struct, frozen=True):
    """One price of the catalogue, and what was done about it in Stripe."""

    plan: str
    every: str
    currency: str
    amount_minor: int
    lookup_key: str
    price: str
    product: str
    outcome: Outcome


async def ensure_prices(store: Store, gateway: StripeGateway, catalog: Catalog) -> list[PriceOutcome]:
    """Every price of the catalogue is in Stripe, found by its lookup key, and remembered with its plan's version.

    A changed amount makes a new price that takes the key over; who bought the old one keeps paying it. Raises
    ConfigurationError for a fixed price id that is not there or disagrees.
    """
    outcomes = []
    for plan in catalog.plans.values():
        for price in plan.prices:
            facts, outcome = await _ensure(gateway, catalog, plan, price)
            sold = SoldPrice(
                facts.id,
                facts.product,
                plan.plan,
                plan.version,
                price.every,
                facts.currency,
                facts.amount_minor,
                facts.lookup_key,
            )
            async with store.transaction() as tx:
                await save_price(tx, sold, store.clock.now_ms())
            outcomes.append(
                PriceOutcome(
                    plan.plan,
                    price.every,
                    price.currency,
                    price.amount_minor,
                    price.lookup_key,
                    facts.id,
                    facts.product,
                    outcome,
                )
            )
    return outcomes + [
        await _ensure_pack(gateway, catalog, pack, price) for pack in catalog.packs.values() for price in pack.prices
    ]


async def _ensure_pack(gateway: StripeGateway, catalog: Catalog, pack: Pack, price: PackPrice) -> PriceOutcome:
    """A pack's price, paid once. It is found by its lookup key alone; what it buys is written on each session."""
    facts = await gateway.price_of_key(price.lookup_key)
    outcome: Outcome = "found"
    if facts is None or (facts.amount_minor, facts.currency, facts.every) != (price.amount_minor, price.currency, ""):
        outcome = "created" if facts is None else "replaced"
        product = f"tollhouse_{_slug(catalog)}_pack_{pack.name}"
        title = f"{catalog.product.name} {pack.title}"
        await gateway.ensure_product(product, title, pack.description, {PACK_KEY: pack.name})
        facts = await gateway.create_price(
            product, amount_minor=price.amount_minor, currency=price.currency, every="", lookup_key=price.lookup_key,
            metadata={PACK_KEY: pack.name},
        )  # fmt: skip
    return PriceOutcome(
        f"pack {pack.name}",
        "once",
        price.currency,
        price.amount_minor,
        price.lookup_key,
        facts.id,
        facts.product,
        outcome,
    )


def _slug(catalog: Catalog) -> str:
    return re.sub(r"[^a-z0-9]+", "_", catalog.product.name.lower()).strip("_") or "product"


async def _ensure(
    gateway: StripeGateway, catalog: Catalog, plan: PlanVersion, price: Price
) -> tuple[PriceFacts, Outcome]:
    if price.stripe_price is not None:
        return await _fixed(gateway, plan, price, price.stripe_price), "found"
    found = await gateway.price_of_key(price.lookup_key)
    if found is not None and _agrees(found, price):
        return found, "found"
    product = found.product if found is not None else await _product(gateway, catalog, plan)
    made = await gateway.create_price(
        product, amount_minor=price.amount_minor, currency=price.currency, every=price.every,
        lookup_key=price.lookup_key, metadata={PLAN_KEY: plan.plan},
    )  # fmt: skip
    return made, "created" if found is None else "replaced"


async def _fixed(gateway: StripeGateway, plan: PlanVersion, price: Price, price_id: str) -> PriceFacts:
    where = f"plans.{plan.plan}.prices"
    try:
        found = await gateway.price(price_id)
    except NotFound:
        raise ConfigurationError(
            f"Stripe has no price {price_id}", setting=where, fix="copy the id of a price of this account and mode"
        ) from None
    if not _agrees(found, price):
        raise ConfigurationError(
            f"the price {price_id} is {found.amount_minor} {found.currency} a {found.every or 'time'} in Stripe, and "
            f"{price.amount_minor} {price.currency} a {price.every} in the catalogue",
            setting=where,
            fix="write the amount that Stripe has, or name another price",
        )
    return found


async def _product(gateway: StripeGateway, catalog: Catalog, plan: PlanVersion) -> str:
    """The plan's product: the one the catalogue names, else one of ours with an id that the plan alone has."""
    if plan.stripe_products:
        return plan.stripe_products[0]
    product_id = f"tollhouse_{_slug(catalog)}_{plan.plan}"
    await gateway.ensure_product(
        product_id, f"{catalog.product.name} {plan.title}", plan.description, {PLAN_KEY: plan.plan}
    )
    return product_id


def _agrees(found: PriceFacts, price: Price) -> bool:
    return (found.amount_minor, found.currency, found.every, found.interval_count) == (
        price.amount_minor, price.currency, price.every, 1,
    )  # fmt: skip
