"""What a lot's payment is worth now (row X9): how much of it is earned, how much still deferred. Pure.

Everything is whole minor units of the lot's own currency, and earned, deferred and refunded always add up to what was
paid, to the cent. What is left of a lot counts wherever it lies: in the lot, or carried over into a later one.
"""

from collections.abc import Iterable

import msgspec

from tollhouse.kernel.money import Money
from tollhouse.ledger.model import Lot
from tollhouse.ledger.plan_lots import parts_left


class LotValue(msgspec.Struct, frozen=True):
    """What was paid for a lot, and what has become of it. `deferred`: for credits that are still to be spent."""

    paid: Money
    deferred_minor: int
    refunded_minor: int = 0

    @property
    def earned_minor(self) -> int:
        """For credits that were spent or have ended: revenue for good."""
        return self.paid.amount_minor - self.refunded_minor - self.deferred_minor


def value_of(paid: Money, amount: int, left: int, refunded_minor: int = 0) -> LotValue:
    """The value of a lot of `amount` of which `left` is still to be spent.

    What is earned is rounded down as credits are spent, so that the last cent is earned with the last credit. No more
    is deferred than was kept of the payment.
    """
    spent = amount - min(max(left, 0), amount)
    refunded = min(max(refunded_minor, 0), paid.amount_minor)
    deferred = paid.amount_minor - paid.amount_minor * spent // amount
    return LotValue(paid, min(deferred, paid.amount_minor - refunded), refunded)


def left_of(lot: str, live: Iterable[Lot]) -> int:
    """How much of this lot is left to spend, in itself and in the lots into which it was carried over."""
    return sum(amount for held in live for of, amount in parts_left(held) if of == lot)


def shares(whole: Money, parts: int) -> list[Money]:
    """A payment in so many parts, in whole minor units that add up to it."""
    minor = whole.amount_minor
    return [Money(minor * (k + 1) // parts - minor * k // parts, whole.currency) for k in range(parts)]
