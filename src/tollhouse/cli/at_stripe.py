"""How a command works with Stripe: the database, the catalogue with its version numbers, and the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tollhouse.billing.stripe import Pace, StripeAccount, open_account
from tollhouse.catalog import Catalog, Configuration
from tollhouse.catalog.actions import publish
from tollhouse.cli.database import opened
from tollhouse.store.opening import AnyStore


@asynccontextmanager
async def only_stripe(found: Configuration, pace: Pace | None = None) -> AsyncIterator[StripeAccount]:
    """The gateway alone, for the time of a block. Raises ConfigurationError without a key."""
    async with open_account(found.settings, pace) as gateway:
        yield gateway


@asynccontextmanager
async def at_stripe(
    found: Configuration, calls_per_second: float | None = None
) -> AsyncIterator[tuple[AnyStore, Catalog, StripeAccount]]:
    """All three for the time of a block. Raises ConfigurationError without a key."""
    pace = None if calls_per_second is None else Pace(calls_per_second)
    async with only_stripe(found, pace) as gateway, opened(found) as store:
        async with store.transaction() as tx:
            catalog = await publish(tx, found.catalog, store.clock.now_ms())
        yield store, catalog, gateway
