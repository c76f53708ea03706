"""Selling, watched: a page on which somebody wants to pay and which we cannot open is a failed payment of ours (row U6)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from tollhouse.billing import checkout, packs
from tollhouse.billing.checkout import Till
from tollhouse.billing.counting import Tally
from tollhouse.billing.linking import Payer
from tollhouse.kernel.errors import ConfigurationError, InvalidRequest, TollhouseError, Unavailable
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.store import outbox

log = structlog.get_logger(__name__)


async def start_checkout(
    till: Till,
    payer: Payer,
    plan: str,
    interval: str | None = None,
    *,
    currency: str | None = None,
    address: str | None = None,
) -> str:
    """See `checkout.start_checkout`."""
    async with _watched(till, f"the plan {plan[:80]!r}"):
        return await checkout.start_checkout(till, payer, plan, interval, currency=currency, address=address)


async def start_pack_checkout(
    till: Till, payer: Payer, name: str, *, currency: str | None = None, address: str | None = None
) -> str:
    """See `packs.start_pack_checkout`."""
    async with _watched(till, f"the pack {name[:80]!r}"):
        return await packs.start_pack_checkout(till, payer, name, currency=currency, address=address)


@asynccontextmanager
async def _watched(till: Till, what: str) -> AsyncIterator[None]:
    """Where the page cannot be opened, by our fault or Stripe's, that is counted and told; the error goes on.

    Maintenance is nobody's fault: staff want nothing to be sold.
    """
    try:
        yield
    except (Unavailable, ConfigurationError, InvalidRequest) as error:
        stripes_or_ours = not isinstance(error, InvalidRequest) or error.code.startswith("stripe_")
        if stripes_or_ours and error.code != "maintenance":
            await _count_ours(till, what, error)
        raise


async def _count_ours(till: Till, what: str, error: TollhouseError) -> None:
    now = till.store.clock.now_ms()
    tally = Tally()
    tally.add("payment_failed", now)
    alert = OperatorAlert(
        "payments_failing", "high", "Customers cannot pay", f"The page for {what} could not be opened: {error.detail}",
        error.fix or "Run `tollhouse stripe setup`, then open a Checkout page yourself.",
    )  # fmt: skip
    try:
        async with till.store.transaction() as tx:
            await outbox.put(tx, alert, now=now)
            await tally.write(tx)
    except TollhouseError as lost:  # the first error is the one to tell
        log.error("billing.not_counted", kind="payment_failed", error=str(lost))
