"""What the catalogue wants to find at Stripe: products, prices, and what the customer portal allows. Pure."""

import re

import msgspec

from tollhouse.billing.model import PACK_KEY, PLAN_KEY, PriceFacts
from tollhouse.catalog.model import Catalog, Pack, PlanVersion
from tollhouse.catalog.stripe_prices import price_variable
from tollhouse.kernel.money import Money, written

MOST_PORTAL_PRODUCTS = 10  # docs.stripe.com/api/customer_portal/configurations/object


class WantedProduct(msgspec.Struct, frozen=True):
    """A product for a plan or a pack. One that the catalogue names (`stripe_products`) is not `ours` to change."""

    owner: str
    id: str
    ours: bool
    name: str
    description: str
    metadata: dict[str, str]


class WantedPrice(msgspec.Struct, frozen=True):
    """A price of a plan, or of a pack (`every` is empty). `fixed` is the id that the file or the environment names."""

    product: WantedProduct
    amount_minor: int
    currency: str
    every: str
    lookup_key: str
    fixed: str | None = None
    variable: str | None = None
    plan: PlanVersion | None = None

    @property
    def owner(self) -> str:
        """The plan, or `pack NAME`."""
        return self.product.owner

    @property
    def retired(self) -> bool:
        """Sold to nobody any more: it may be archived at Stripe, and stays as it is."""
        return self.plan is not None and self.plan.retired

    @property
    def setting(self) -> str:
        """Where it stands in the file."""
        return f"plans.{self.owner}.prices" if self.plan else f"packs.{self.owner.removeprefix('pack ')}.prices"

    def agrees(self, found: PriceFacts) -> bool:
        """Whether it is the same money for the same time."""
        return (found.amount_minor, found.currency, found.every, found.interval_count) == (
            self.amount_minor, self.currency, self.every, 1,
        )  # fmt: skip

    def told(self) -> str:
        """As a reader says it: `9.00 USD a month`."""
        return in_words(self.amount_minor, self.currency, self.every)


def told(found: PriceFacts) -> str:
    """A price of Stripe's, said in the same way."""
    return in_words(found.amount_minor, found.currency, found.every, found.interval_count)


def in_words(amount_minor: int, currency: str, every: str, interval_count: int = 1) -> str:
    """`9.00 USD a month`, `9.00 USD every 3 month`, `9.00 USD once`."""
    times = f"a {every}" if interval_count == 1 else f"every {interval_count} {every}"
    return f"{written(Money(amount_minor, currency))} {times if every else 'once'}"


def wanted_prices(catalog: Catalog) -> list[WantedPrice]:
    """Every price of every plan and pack, in the file's order."""
    plans = [
        WantedPrice(
            _plan_product(catalog, plan), price.amount_minor, price.currency, price.every, price.lookup_key,
            price.stripe_price, price_variable(plan, price), plan,
        )
        for plan in catalog.plans.values()
        for price in plan.prices
    ]  # fmt: skip
    packs = [
        WantedPrice(_pack_product(catalog, pack), price.amount_minor, price.currency, "", price.lookup_key)
        for pack in catalog.packs.values()
        for price in pack.prices
    ]
    return [*plans, *packs]


def slug(catalog: Catalog) -> str:
    """The product's name as it stands in ids and metadata."""
    return re.sub(r"[^a-z0-9]+", "_", catalog.product.name.lower()).strip("_") or "product"


def _plan_product(catalog: Catalog, plan: PlanVersion) -> WantedProduct:
    named = plan.stripe_products[0] if plan.stripe_products else None
    return WantedProduct(
        plan.plan,
        named or f"tollhouse_{slug(catalog)}_{plan.plan}",
        named is None,
        f"{catalog.product.name} {plan.title}",
        plan.description,
        {PLAN_KEY: plan.plan},
    )


def _pack_product(catalog: Catalog, pack: Pack) -> WantedProduct:
    return WantedProduct(
        f"pack {pack.name}",
        f"tollhouse_{slug(catalog)}_pack_{pack.name}",
        True,
        f"{catalog.product.name} {pack.title}",
        pack.description,
        {PACK_KEY: pack.name},
    )


def portal_features(prices: dict[str, list[str]]) -> dict[str, object]:
    """What a customer may do: see invoices, change the card and the billing address, end the plan when its period ends,
    and change to another price of the plans that are sold (`prices` by product), a cheaper one when the period ends.
    """
    products = [{"product": product, "prices": ids} for product, ids in list(prices.items())[:MOST_PORTAL_PRODUCTS]]
    update: dict[str, object] = {"enabled": False}
    if products:
        update = {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "proration_behavior": "always_invoice",
            "products": products,
            "schedule_at_period_end": {
                "conditions": [{"type": "decreasing_item_amount"}, {"type": "shortening_interval"}]
            },
        }
    return {
        "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id"]},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_update": update,
    }


def differences(present: object, wanted: object, path: str = "") -> list[str]:
    """Where what is there is not what is wanted, as dotted names; what is not wanted may be anything.

    Lists are compared without regard to their order: Stripe gives them back in its own.
    """
    if isinstance(wanted, dict):
        there = present if isinstance(present, dict) else {}
        return [
            lacking
            for name, value in wanted.items()
            for lacking in differences(there.get(name), value, f"{path}.{name}" if path else name)
        ]
    if isinstance(wanted, list):
        there_list = present if isinstance(present, list) else []
        same = len(there_list) == len(wanted) and all(
            any(not differences(found, item) for found in there_list) for item in wanted
        )
        return [] if same else [path]
    return [] if present == wanted else [path]
