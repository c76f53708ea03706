"""A look at Stripe: everything it says about one customer now, with every price that is named. Over the network."""

from collections.abc import Iterable

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.linking import links_of_stripe
from tollhouse.billing.model import Link, PriceFacts, Snapshot
from tollhouse.billing.packs import ONCE
from tollhouse.billing.prices import read_prices
from tollhouse.billing.stripe import StripeGateway
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import NotFound
from tollhouse.store import Store, Tx, Value, cell_of


class Known(msgspec.Struct, frozen=True):
    """A Stripe customer that is ours, and whether it has opened a pack's Checkout page by us."""

    link: Link
    opened_packs: bool


async def find_known(tx: Tx, ids: Iterable[str]) -> dict[str, Known]:
    """Those of these Stripe customers that are ours, by their id there."""
    links = await links_of_stripe(tx, ids)
    opened = await _opened_packs(tx, [link.customer for link in links])
    return {link.id: Known(link, link.customer in opened) for link in links}


async def look(
    store: Store,
    catalog: Catalog,
    gateway: StripeGateway,
    link: Link,
    *,
    packs: bool | None = None,
    refunds: bool = False,
) -> Snapshot:
    """The customer's lists, each read to its end, and the prices of lines that no subscription has any more.

    Stripe allows a hundred calls a second. So Checkout pages are listed where `packs` are asked for (None: where this
    customer has opened a pack's by us); and what was given back where the terms need it, or `refunds` are asked for.
    """
    if packs is None:
        async with store.reading() as tx:
            packs = link.customer in await _opened_packs(tx, (link.customer,))
    snapshot = await gateway.snapshot(link.id, packs=packs)
    known = snapshot.facts_of_prices()
    wanted = {
        line.price
        for invoice in snapshot.invoices
        for line in invoice.lines
        if line.price is not None and line.subscription is not None and line.price not in known
    }
    wanted |= {
        found.later.price
        for found in snapshot.subscriptions
        if found.live and found.later is not None and found.later.price not in known
    }
    further: dict[str, PriceFacts | None] = {}
    if wanted:
        async with store.reading() as tx:
            prices = await read_prices(tx, catalog)
        further = {name: prices.facts_of(name) or await _price(gateway, name) for name in sorted(wanted)}
    return Snapshot(
        snapshot.customer,
        snapshot.subscriptions,
        snapshot.invoices,
        {name: facts for name, facts in further.items() if facts is not None},
        snapshot.purchases,
        snapshot.awaited,
        await gateway.refunded(link.id) if refunds or catalog.terms.on_refund == "take_back" else None,
    )


async def _opened_packs(tx: Tx, customers: Iterable[str]) -> set[str]:
    places: list[dict[str, Value]] = [{"cell": cell_of(name), "customer": name, "every": ONCE} for name in customers]
    return {row["customer"] for row in await tx.fetch_many(queries.ANY_SESSION, places)} if places else set()


async def _price(gateway: StripeGateway, name: str) -> PriceFacts | None:
    try:
        return await gateway.price(name)
    except NotFound:
        return None
