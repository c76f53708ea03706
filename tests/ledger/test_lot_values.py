"""What was paid for lots: earned, deferred and refunded add up to it, to the cent (row X9). Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.kernel.money import Money
from tollhouse.ledger.lot_values import LotValue, left_of, shares, value_of
from tollhouse.ledger.model import Lot

MINOR = st.integers(0, 99_999_999)
AMOUNT = st.integers(1, 2**53 - 1)


def _parts(value: LotValue) -> tuple[int, int, int]:
    return value.deferred_minor, value.earned_minor, value.refunded_minor


@pytest.mark.row("X9")
@given(MINOR, AMOUNT, st.data())
def test_what_is_spent_in_steps_is_earned_in_parts_that_add_up(paid: int, amount: int, data: st.DataObject) -> None:
    lefts = sorted(data.draw(st.lists(st.integers(0, amount), max_size=20)), reverse=True)
    before = 0
    earned_by_step = 0
    for left in (amount, *lefts, 0):
        value = value_of(Money(paid, "usd"), amount, left)
        assert sum(_parts(value)) == paid
        assert value.earned_minor >= before, "revenue is never taken back by spending"
        earned_by_step += value.earned_minor - before
        before = value.earned_minor
    assert earned_by_step == paid
    assert _parts(value_of(Money(paid, "usd"), amount, amount)) == (paid, 0, 0)


@pytest.mark.row("X9")
@given(MINOR, AMOUNT, st.integers(0, 2**53), st.integers(0, 2**40))
def test_a_refund_is_neither_earned_nor_deferred(paid: int, amount: int, left: int, refunded: int) -> None:
    value = value_of(Money(paid, "usd"), amount, left, refunded)
    assert sum(_parts(value)) == paid
    assert min(_parts(value)) >= 0
    assert value.refunded_minor == min(refunded, paid)


@pytest.mark.row("X9")
@given(MINOR, st.integers(1, 24))
def test_a_payment_is_shared_in_parts_that_add_up(paid: int, parts: int) -> None:
    found = shares(Money(paid, "jpy"), parts)
    assert sum(part.amount_minor for part in found) == paid
    assert max(part.amount_minor for part in found) - min(part.amount_minor for part in found) <= 1
    assert {part.currency for part in found} == {"jpy"}


@pytest.mark.row("X9")
@pytest.mark.parametrize(
    ("left", "refunded", "expected"),
    [
        (1_000, 0, (900, 0, 0)),
        (1, 0, (1, 899, 0)),  # rounded down as credits are spent: the last cent is earned with the last credit
        (100, 450, (90, 360, 450)),  # half given back with half the credits, 400 spent before
        (1_000, 450, (450, 0, 450)),  # half given back, and the credits left alone
        (0, 900, (0, 0, 900)),
    ],
)
def test_worked_examples(left: int, refunded: int, expected: tuple[int, int, int]) -> None:
    assert _parts(value_of(Money(900, "usd"), 1_000, left, refunded)) == expected


@pytest.mark.row("X9")
def test_what_was_carried_over_counts_for_the_lots_it_came_of() -> None:
    carried = Lot("lot_c", 70, 25, "plan", parts=(("lot_a", 20), ("lot_b", 50)))
    live = (carried, Lot("lot_d", 100, 40, "plan"))
    assert [left_of(name, live) for name in ("lot_a", "lot_b", "lot_d", "lot_x")] == [0, 45, 60, 0]
