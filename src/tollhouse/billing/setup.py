"""Products and prices in Stripe as the catalogue says. Run again it makes nothing twice (row S13).

Whatever a run has done is found by the next one: a product by its id, a price by its lookup key. So a run that was
killed is finished by running it again.
"""

from typing import Literal

import msgspec

from tollhouse.billing.account import ProductFacts
from tollhouse.billing.model import PriceFacts, SoldPrice
from tollhouse.billing.prices import save_price
from tollhouse.billing.stripe import StripeGateway
from tollhouse.billing.wanted import WantedPrice, WantedProduct, told, wanted_prices
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import ConfigurationError, NotFound
from tollhouse.store import Store

Outcome = Literal["found", "adopted", "created", "replaced"]


class PriceOutcome(msgspec.Struct, frozen=True):
    """One price of the catalogue, and what was done about it in Stripe, or would be (then it may have no id yet)."""

    plan: str
    every: str
    currency: str
    amount_minor: int
    lookup_key: str
    price: str | None
    product: str
    outcome: Outcome
    detail: str = ""


class ProductOutcome(msgspec.Struct, frozen=True):
    """The product of one plan or pack, and what was done about it, or would be."""

    plan: str
    product: str
    outcome: Literal["found", "created", "updated"]
    detail: str = ""


async def ensure_prices(store: Store, gateway: StripeGateway, catalog: Catalog) -> list[PriceOutcome]:
    """Every price of the catalogue is in Stripe, and remembered with its plan's version.

    A changed amount makes a new price that takes the lookup key over; who bought the old one keeps paying it. Raises
    ConfigurationError for a fixed price id that is not there or disagrees.
    """
    outcomes = []
    for wanted in wanted_prices(catalog):
        outcome, facts = await ensure_price(gateway, wanted)
        if facts is not None:
            await remember_price(store, wanted, facts)
        outcomes.append(outcome)
    return outcomes


async def remember_price(store: Store, wanted: WantedPrice, facts: PriceFacts) -> None:
    """Whoever buys this price from now on buys the plan's present version. A pack is written on its own session."""
    plan = wanted.plan
    if plan is None:
        return
    sold = SoldPrice(
        facts.id, facts.product, plan.plan, plan.version, wanted.every, facts.currency, facts.amount_minor,
        facts.lookup_key,
    )  # fmt: skip
    async with store.transaction() as tx:
        await save_price(tx, sold, store.clock.now_ms())


async def ensure_product(
    gateway: StripeGateway, wanted: WantedProduct, *, product_id: str | None = None, only_plan: bool = False
) -> ProductOutcome:
    """The product is there, not archived, and one of ours says what the catalogue says. With `only_plan`, what is lacking.

    Raises ConfigurationError for a product that the catalogue names and Stripe does not know.
    """
    name = product_id or wanted.id
    found = await gateway.product(name)
    if found is None and not wanted.ours:
        raise ConfigurationError(
            f"Stripe has no product {name}", setting=f"plans.{wanted.owner}.stripe_products",
            fix="copy the id of a product of this account and mode",
        )  # fmt: skip
    if found is None:
        if not only_plan:
            await gateway.save_product(None, {"id": name, **_described(wanted)})
        return ProductOutcome(wanted.owner, name, "created")
    changes = _changes(found, wanted)
    if changes and not only_plan:
        await gateway.save_product(name, changes)
    return ProductOutcome(wanted.owner, name, "updated" if changes else "found", ", ".join(changes))


def _described(wanted: WantedProduct) -> dict[str, object]:
    told_of = {"description": wanted.description} if wanted.description else {}
    return {"name": wanted.name, "metadata": wanted.metadata, **told_of}


def _changes(found: ProductFacts, wanted: WantedProduct) -> dict[str, object]:
    """By Stripe's names. What a product that the catalogue names is called is its owner's business."""
    if not wanted.ours or not wanted.metadata.items() <= found.metadata.items():
        return {} if found.active else {"active": True}
    changes: dict[str, object] = {} if found.active else {"active": True}
    if found.name != wanted.name:
        changes["name"] = wanted.name
    if found.description != wanted.description:
        changes["description"] = wanted.description
    return changes


async def ensure_price(
    gateway: StripeGateway, wanted: WantedPrice, *, only_plan: bool = False
) -> tuple[PriceOutcome, PriceFacts | None]:
    """The price is there under its lookup key; and as Stripe has it, None when it would have to be made."""
    keyed = await gateway.price_of_key(wanted.lookup_key)
    if wanted.fixed is not None and (fixed := await _fixed(gateway, wanted, wanted.fixed, keyed)) is not None:
        return _outcome(wanted, fixed.product, "found", fixed), fixed
    if keyed is not None and wanted.agrees(keyed):
        return _outcome(wanted, keyed.product, "found", keyed, _pinned(wanted)), keyed
    if keyed is None and (unnamed := await _unnamed(gateway, wanted)) is not None:
        if not only_plan:
            await gateway.name_price(unnamed.id, wanted.lookup_key)
        return _outcome(wanted, unnamed.product, "adopted", unnamed), unnamed
    outcome: Outcome = "created" if keyed is None else "replaced"
    product = keyed.product if keyed is not None else wanted.product.id
    detail = f"{told(keyed)} → {wanted.told()}" if keyed is not None else ""
    if only_plan:
        return _outcome(wanted, product, outcome, None, detail), None
    if keyed is None and wanted.product.ours:
        await ensure_product(gateway, wanted.product)
    made = await gateway.create_price(
        product, amount_minor=wanted.amount_minor, currency=wanted.currency, every=wanted.every,
        lookup_key=wanted.lookup_key, metadata=wanted.product.metadata,
    )  # fmt: skip
    return _outcome(wanted, product, outcome, made, detail + _pinned(wanted)), made


def _outcome(
    wanted: WantedPrice, product: str, outcome: Outcome, facts: PriceFacts | None, detail: str = ""
) -> PriceOutcome:
    return PriceOutcome(
        wanted.owner, wanted.every or "once", wanted.currency, wanted.amount_minor, wanted.lookup_key,
        facts.id if facts is not None else None, product, outcome, detail.strip("; "),
    )  # fmt: skip


def _pinned(wanted: WantedPrice) -> str:
    if wanted.fixed is None:
        return ""
    return f"; {wanted.fixed}, which {wanted.variable} names, is the old price: set it to this one"


def _named_by(wanted: WantedPrice) -> str:
    return f"{wanted.variable} (or the catalogue's stripe_price)" if wanted.variable else "the catalogue's stripe_price"


async def _unnamed(gateway: StripeGateway, wanted: WantedPrice) -> PriceFacts | None:
    """A price of the merchant's own making, of the product that the catalogue names, without a lookup key yet."""
    if wanted.plan is None:
        return None
    for product in wanted.plan.stripe_products:
        for found in await gateway.prices_of(product):
            if wanted.agrees(found) and found.lookup_key is None:
                return found
    return None


async def _fixed(
    gateway: StripeGateway, wanted: WantedPrice, price_id: str, keyed: PriceFacts | None
) -> PriceFacts | None:
    """The price of that id, or None when it is an old one of ours, whose lookup key is elsewhere or moves on now."""
    try:
        found = await gateway.price(price_id)
    except NotFound:
        raise ConfigurationError(
            f"Stripe has no price {price_id}, which {_named_by(wanted)} names", setting=wanted.variable or wanted.setting,
            fix="unset it, and setup finds or makes the price; or copy the id of a price of this account and mode",
        ) from None  # fmt: skip
    if wanted.agrees(found):
        return found
    if keyed is not None and keyed.product == found.product:
        return None
    raise ConfigurationError(
        f"the price {price_id} is {told(found)} in Stripe, and {wanted.told()} in the catalogue",
        setting=wanted.setting,
        fix="write the amount that Stripe has, or name another price",
    )
