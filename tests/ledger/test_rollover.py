"""What a paid renewal carries over of the credits that are left, up to the plan's ceiling."""

from __future__ import annotations

import msgspec
import pytest

from tests.ledger.world import DAY, PRO, STARTER, Account, at
from tollhouse.catalog.model import Grant, PlanVersion
from tollhouse.ledger.book import decode_state, state_document
from tollhouse.ledger.model import LARGEST_STATE_BYTES, Entry
from tollhouse.ledger.plan_lots import MOST_PARTS, parts_left

STARTS = [at(f"{year}-{month:02}-28") for year in (2026, 2027, 2028) for month in range(1, 13)]


def period(number: int) -> tuple[int, int]:
    return STARTS[number], STARTS[number + 1]


def rolling(ceiling: int | None, of: PlanVersion = STARTER) -> PlanVersion:
    return msgspec.structs.replace(of, grants=(Grant("credits", of.grants[0].amount, rollover=ceiling),))


def subscribed(plan: PlanVersion) -> Account:
    ada = Account(at("2026-01-02"))
    ada.subscribe(STARTS[0], plan, anchor=STARTS[0])
    ada.pay(STARTS[0], plan, period(0))
    return ada


@pytest.mark.parametrize(("ceiling", "left"), [(0, 1_000_000), (250_000, 1_250_000), (None, 1_400_000)])
def test_a_renewal_carries_over_up_to_the_ceiling(ceiling: int | None, left: int) -> None:
    ada = subscribed(rolling(ceiling))
    ada.grant(STARTS[0], 70_000)
    ada.admit(STARTS[0] + DAY, credits=600_000)

    ada.pay(STARTS[1], rolling(ceiling), period(1), "renewed")

    total, used = ada.balance()
    assert total - used == left + 70_000
    assert all(lot.until == STARTS[2] for lot in ada.state.lots["credits"] if lot.source == "plan")


def test_what_was_carried_over_is_spent_first_and_ends_at_the_next_renewal() -> None:
    ada = subscribed(rolling(250_000))
    ada.pay(STARTS[1], rolling(250_000), period(1), "renewed")
    ada.admit(STARTS[1], credits=200_000)
    first, second = ada.state.lots["credits"]
    assert (first.amount, first.used, second.used) == (250_000, 200_000, 0)

    ada.admit(STARTS[1], credits=1_000_000)
    entries = ada.pay(STARTS[2], rolling(250_000), period(2), "renewed")

    assert [(entry.action, [amount for _, _, amount in entry.moves]) for entry in entries] == [
        ("credits_rolled_over", [-50_000, 50_000]),
        ("plan_renewed", [1_000_000]),
    ]


def test_moving_to_a_plan_without_rollover_ends_it_at_the_renewal() -> None:
    ada = subscribed(rolling(None))
    ada.pay(STARTS[1], rolling(None), period(1), "renewed")
    assert ada.balance() == (2_000_000, 0)

    ada.pay(STARTS[2], STARTER, period(2), "renewed")

    assert ada.balance() == (1_000_000, 0)


def test_an_upgrade_replaces_the_periods_lot_and_leaves_what_was_carried_over() -> None:
    ada = subscribed(rolling(None))
    ada.pay(STARTS[1], rolling(None), period(1), "renewed")

    ada.pay(STARTS[1] + DAY, PRO, (STARTS[1] + DAY, STARTS[2]), "upgraded")

    assert ada.balance() == (6_000_000, 0)


def test_it_is_known_which_lots_it_came_from_and_the_account_stays_small() -> None:
    ada = subscribed(rolling(None))
    for number in range(1, 30):
        ada.admit(STARTS[number - 1], credits=123_456)
        ada.pay(STARTS[number], rolling(None), period(number), "renewed")

    carried, newest = ada.state.lots["credits"]
    assert (carried.amount, newest.amount) == (29 * (1_000_000 - 123_456), 1_000_000)
    assert sum(amount for _, amount in carried.parts) == carried.amount
    assert len(carried.parts) == MOST_PARTS
    bought = [lot for lot, fact in ada.facts.items() if fact.amount == 1_000_000]
    assert [lot for lot, _ in carried.parts] == bought[-1 - MOST_PARTS : -1]
    assert len(state_document(ada.state)) < LARGEST_STATE_BYTES / 4
    assert decode_state(state_document(ada.state)) == ada.state

    ada.admit(STARTS[29], credits=carried.amount - 1)
    assert parts_left(ada.state.lots["credits"][0]) == ((carried.parts[-1][0], 1),)


def test_what_comes_back_goes_to_the_lot_that_was_carried_over() -> None:
    ada = subscribed(rolling(None))
    ada.pay(STARTS[1], rolling(None), period(1), "renewed")
    admitted = ada.admit(STARTS[1] + DAY, credits=400_000)
    assert isinstance(admitted, Entry)

    ada.give_back(STARTS[1] + DAY, admitted, credits=300_000)

    assert parts_left(ada.state.lots["credits"][0])[0][1] == 900_000


@pytest.mark.parametrize(("ceiling", "total"), [(0, 1_000_000), (1_500_000, 2_500_000), (None, 3_000_000)])
def test_a_period_that_is_paid_after_the_next_adds_what_would_have_been_carried_over(
    ceiling: int | None, total: int
) -> None:
    plan = rolling(ceiling)
    in_order, late = subscribed(plan), subscribed(plan)
    in_order.pay(STARTS[1], plan, period(1), "renewed")
    in_order.pay(STARTS[2], plan, period(2), "renewed")

    late.pay(STARTS[2], plan, period(2), "renewed")
    late.pay(STARTS[2] + DAY, plan, period(1), "renewed")

    assert in_order.balance() == late.balance() == (total, 0)
    late.pay(STARTS[3], plan, period(3), "renewed")
    assert len(late.state.lots["credits"]) == (1 if ceiling == 0 else 2)


def test_it_ends_with_the_period_that_was_paid_when_the_subscription_is_over() -> None:
    ada = subscribed(rolling(None))
    ada.pay(STARTS[1], rolling(None), period(1), "renewed")
    ada.subscribe(STARTS[1] + DAY, ada.catalog.plans["free"])
    assert ada.balance() == (2_000_000, 0)

    ada.until(STARTS[2])

    assert ada.balance() == (0, 0)
