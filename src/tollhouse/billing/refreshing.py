"""A customer brought in line with Stripe at once, because its user has come back from the portal and looks."""

import structlog

from tollhouse.billing.applying import FenceLost, apply
from tollhouse.billing.attempts import count_attempt
from tollhouse.billing.checkout import Till
from tollhouse.billing.linking import link_of_customer
from tollhouse.billing.looking import look
from tollhouse.billing.pausing import Paused, require_applying
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import TollhouseError, TooManyAttempts

MOST_LOOKS = 10

log = structlog.get_logger(__name__)


async def refresh(till: Till, customer: str) -> bool:
    """Whether our books say now what Stripe says. Never fails: the events bring the same a moment later."""
    store = till.store
    try:
        async with store.transaction() as tx:
            await count_attempt(tx, (f"look:{customer}",), MOST_LOOKS, MINUTE, store.clock.now_ms())
            link = await link_of_customer(tx, customer)
        if link is None:
            return False
        snapshot = await look(store, till.catalog, till.gateway, link)
        async with store.transaction() as tx:
            await require_applying(tx)
            await apply(tx, till.catalog, link, snapshot, store.clock.now_ms())
    except FenceLost:  # an event has just done it
        return True
    except (Paused, TooManyAttempts):
        return False
    except TollhouseError as error:
        log.warning("billing.not_refreshed", customer=customer, error=str(error))
        return False
    return True
