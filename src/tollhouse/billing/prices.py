"""Which plan a price of Stripe's buys: configuration, never code (rows A2, A21). The rules are pure.

A price is known by the first of: a row of `stripe_price` (made by `tollhouse stripe setup` or learned before), the id
that the catalogue or STRIPE_PRICE_… names, its lookup key, its product.
"""

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.model import PLAN_KEY, VERSION_KEY, Item, PriceFacts, SoldPrice, Subscription
from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.store import Row, Tx


class PriceMap(msgspec.Struct, frozen=True):
    """What is known about prices: rows by id, and the catalogue."""

    rows: dict[str, SoldPrice]
    catalog: Catalog

    def find(self, facts: PriceFacts) -> SoldPrice | None:
        """The plan version that this price buys; None when nothing maps it."""
        row = self.rows.get(facts.id)
        if row is not None and row.plan in self.catalog.plans:
            return row
        plan = _named_by_catalog(self.catalog, facts)
        if plan is None:
            return None
        return SoldPrice(
            facts.id,
            facts.product,
            plan.plan,
            plan.version,
            facts.every,
            facts.currency,
            facts.amount_minor,
            facts.lookup_key,
        )

    def facts_of(self, price: str) -> PriceFacts | None:
        """What we kept about a price that was seen before."""
        row = self.rows.get(price)
        if row is None:
            return None
        return PriceFacts(row.id, row.product, row.currency, row.amount_minor, row.every, lookup_key=row.lookup_key)

    def item_of(self, subscription: Subscription) -> tuple[Item, SoldPrice] | None:
        """The item that decides on the plan: of several that are mapped, the highest plan's."""
        found = [(item, sold) for item in subscription.items if (sold := self.find(item.price)) is not None]
        return max(found, key=lambda pair: self.catalog.plans[pair[1].plan].rank, default=None)


def _named_by_catalog(catalog: Catalog, facts: PriceFacts) -> PlanVersion | None:
    for plan in catalog.plans.values():
        if any(price.stripe_price == facts.id for price in plan.prices):
            return plan
    for plan in catalog.plans.values():
        if facts.lookup_key and any(price.lookup_key == facts.lookup_key for price in plan.prices):
            return plan
    for plan in catalog.plans.values():
        if facts.product in plan.stripe_products:
            return plan
    return None


def version_bought(
    catalog: Catalog,
    sold: SoldPrice,
    subscription: Subscription | None,
    kept: tuple[str | None, int | None] = (None, None),
) -> PlanVersion:
    """The version that this subscription stays on (row X4): the one it has been on, the one named when it was bought,
    the one sold at its price, else the newest.

    Raises ConfigurationError when the plan itself is gone.
    """
    candidates: list[int] = []
    kept_plan, kept_version = kept
    if kept_plan == sold.plan and kept_version is not None:
        candidates.append(kept_version)
    metadata = subscription.metadata if subscription is not None else {}
    written = metadata.get(VERSION_KEY, "")
    if metadata.get(PLAN_KEY) == sold.plan and written.isascii() and written.isdigit():
        candidates.append(int(written[:9]))
    candidates.append(sold.version)
    for number in candidates:
        found = catalog.version(sold.plan, number)
        if found is not None:
            return found
    newest = catalog.plans.get(sold.plan)
    if newest is None:
        raise ConfigurationError(
            f"the price {sold.id} buys the plan {sold.plan!r}, which is not in the catalogue any more",
            setting=f"plans.{sold.plan}",
            fix="put the plan back; a plan that has customers stays in the file",
        )
    return newest


async def read_prices(tx: Tx, catalog: Catalog) -> PriceMap:
    """Every price that is known."""
    return PriceMap({row["id"]: _sold(row) for row in await tx.fetch(queries.PRICES)}, catalog)


async def save_price(tx: Tx, sold: SoldPrice, now: int) -> None:
    """Remember a price of ours and the version that it buys from now on."""
    await tx.execute(queries.SAVE_PRICE, **msgspec.structs.asdict(sold), now=now)


async def learn_price(tx: Tx, sold: SoldPrice, now: int) -> None:
    """Remember what the catalogue said about a price that was seen; what is known already stays."""
    await tx.execute(queries.LEARN_PRICE, **msgspec.structs.asdict(sold), now=now)


def _sold(row: Row) -> SoldPrice:
    return SoldPrice(
        row["id"], row["product"], row["plan"], row["version"], row["every"], row["currency"], row["amount_minor"],
        row["lookup_key"],
    )  # fmt: skip
