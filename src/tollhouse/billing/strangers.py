"""Customers of Stripe's who are ours, or pay for our plans, and are linked to nobody: found without any event.

So it is after a purchase whose every event was lost, a subscription that staff made in Stripe's dashboard, a database
that came back from a backup. Each is put into the inbox as if an event had come: the worker links it, or tells staff.
"""

from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec

from tollhouse.billing.counting import LOOK_AGAIN_TYPE
from tollhouse.billing.linking import link_of_stripe, owner_of
from tollhouse.billing.prices import read_prices
from tollhouse.billing.stripe import StripeGateway
from tollhouse.billing.syncing import SOURCE
from tollhouse.catalog.model import Catalog
from tollhouse.store import Store, Tx, inbox

ASKED_AT_ONCE = 100

T = TypeVar("T")


class Stranger(msgspec.Struct, frozen=True):
    """A customer of Stripe's without a link; `owner` is the customer of ours that it names."""

    id: str
    owner: str | None


async def find_strangers(store: Store, catalog: Catalog, gateway: StripeGateway) -> AsyncIterator[Stranger]:
    """Those that name one of ours, then those with a live subscription to a plan. Raises Unavailable when Stripe is down."""
    told: set[str] = set()
    async for customers in _grouped(gateway.all_customers()):
        named: list[Stranger] = []
        async with store.reading() as tx:
            for found in customers:
                owner = await owner_of(tx, found, ()) if found.metadata else None
                if owner is not None and await link_of_stripe(tx, found.id) is None:
                    named.append(Stranger(found.id, owner))
        for stranger in named:
            told.add(stranger.id)
            yield stranger
    async for subscribed in _grouped(gateway.all_subscriptions()):
        paying: set[str] = set()
        async with store.reading() as tx:
            prices = await read_prices(tx, catalog)
            for stripe_id, subscription in subscribed:
                ours = subscription.live and prices.item_of(subscription) is not None
                if ours and stripe_id not in told and await link_of_stripe(tx, stripe_id) is None:
                    paying.add(stripe_id)
        told |= paying
        for stripe_id in sorted(paying):
            yield Stranger(stripe_id, None)


async def call_for(tx: Tx, stranger: Stranger, run: str, now: int) -> None:
    """Let the worker look at it, once for this run."""
    await inbox.receive(tx, SOURCE, f"tollhouse:{stranger.id}:{run}", LOOK_AGAIN_TYPE, stranger.id, "{}", now)


async def _grouped(every: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    """A hundred at a time, so that no transaction stays open while Stripe is asked."""
    group: list[T] = []
    async for one in every:
        group.append(one)
        if len(group) == ASKED_AT_ONCE:
            yield group
            group = []
    yield group
