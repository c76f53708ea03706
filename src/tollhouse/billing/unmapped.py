"""Purchases of prices that no plan maps to (row A21): kept and listed, and applied once the catalogue names them.

The payment stands in the books from the first; what waits is the plan and its lots. A replay asks Stripe again, so that
they come exactly once, whether events were parked or have been forgotten since.
"""

import msgspec

from tollhouse.billing.counting import LOOK_AGAIN_TYPE
from tollhouse.billing.linking import link_of_customer
from tollhouse.billing.syncing import SOURCE
from tollhouse.kernel.money import Money
from tollhouse.store import Sql, Tx, cell_of, inbox

_UNMAPPED = Sql(
    "select customer, id, status, price, every, currency, amount_minor, created_at from subscription"
    " where plan is null and status not in ('canceled', 'incomplete', 'incomplete_expired')"
    " order by created_at desc, id desc limit :most"
)
_PAID = Sql(
    "select coalesce(sum(amount_paid_minor), 0) as paid from invoice"
    " where cell = :cell and customer = :customer and subscription = :subscription and status = 'paid'"
)


class Unmapped(msgspec.Struct, frozen=True):
    """A live subscription whose price buys no plan. `paid`: what came in for it so far. Times in ms."""

    customer: str
    subscription: str
    status: str
    price: str
    every: str
    amount: Money
    paid: Money
    created_at: int


async def unmapped_purchases(tx: Tx, most: int = 200) -> list[Unmapped]:
    """The newest first."""
    found = []
    for row in await tx.fetch(_UNMAPPED, most=most):
        customer = row["customer"]
        sums = await tx.fetch_one(_PAID, cell=cell_of(customer), customer=customer, subscription=row["id"])
        found.append(
            Unmapped(
                customer, row["id"], row["status"], row["price"], row["every"],
                Money(row["amount_minor"], row["currency"]),
                Money(int(sums["paid"]) if sums is not None else 0, row["currency"]), row["created_at"],
            )
        )  # fmt: skip
    return found


async def replay_unmapped(tx: Tx, customer: str, now: int) -> bool:
    """Let what this customer bought be looked at again, with the catalogue as it is now. False for a customer whom Stripe
    does not know."""
    link = await link_of_customer(tx, customer)
    if link is None:
        return False
    await inbox.replay_parked(tx, SOURCE, link.id, now)
    await inbox.receive(tx, SOURCE, f"tollhouse:{link.id}:mapped:{now}", LOOK_AGAIN_TYPE, link.id, "{}", now)
    return True
