"""Lines that balances cross: told by the step that crosses them, and by no step before or after."""

from __future__ import annotations

import pytest

from tests.support.product import catalog_of
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.facts import BalanceExhausted, BalanceThreshold
from tollhouse.ledger.balances import balances_told
from tollhouse.ledger.granting import open_state
from tollhouse.ledger.model import State, Taken
from tollhouse.ledger.rules import take
from tollhouse.ledger.turning import advance

CATALOG = catalog_of()
ADA = "cus_00000000000000000000000001"
NOW = 1_900_000_000_000


def opened(plan: str) -> State:
    return open_state(ADA, CATALOG.plans[plan], CATALOG, NOW, True).state


def spent(state: State, meter: str, amount: int, at: int = NOW) -> State:
    """The state after this debit."""
    taken = take(state, CATALOG.plans[state.plan], CATALOG.meters, {meter: amount}, at)
    assert isinstance(taken, Taken)
    return taken.state


def told(before: State, after: State) -> list[str]:
    return [
        f"{fact.meter} {fact.percent}" if isinstance(fact, BalanceThreshold) else f"{fact.meter} gone"
        for fact, _ in balances_told(ADA, before, after, CATALOG)
    ]


@pytest.mark.row("X6")
@pytest.mark.parametrize(("meter", "unit"), [("credits", 1000), ("sessions", 1)])
def test_only_the_debit_that_crosses_a_line_tells_it(meter: str, unit: int) -> None:
    state = opened("free")
    steps = []
    for _ in range(100):
        after = spent(state, meter, unit)
        steps.append(told(state, after))
        state = after
    assert {number: lines for number, lines in enumerate(steps, 1) if lines} == {
        80: [f"{meter} 80"], 100: [f"{meter} gone"],
    }  # fmt: skip
    assert told(state, state) == []


def test_one_debit_may_cross_both_lines_and_a_new_period_starts_below_them() -> None:
    state = opened("free")
    gone = spent(state, "exports", 3)
    assert told(state, gone) == ["exports 80", "exports gone"]
    turned, _ = advance(gone, CATALOG, NOW + DAY)
    assert told(gone, turned) == []
    again = spent(turned, "exports", 3, NOW + DAY)
    assert told(turned, again) == told(gone, again) == ["exports 80", "exports gone"]
    first, second = (balances_told(ADA, *pair, CATALOG) for pair in ((state, gone), (turned, again)))
    assert {key for _, key in first} & {key for _, key in second} == set()


def test_rates_leases_counts_and_what_is_unlimited_have_no_balance() -> None:
    state = opened("free")
    for meter, amount in (("requests", 6), ("concurrent", 1), ("projects", 1)):
        assert told(state, spent(state, meter, amount)) == []
    unlimited = opened("pro")
    assert told(unlimited, spent(unlimited, "sessions", 1_000_000)) == []


def test_the_fact_says_what_was_left_and_of_how_much() -> None:
    state = opened("free")
    ((first, _), (last, _)) = balances_told(ADA, state, spent(state, "credits", 100_000), CATALOG)
    assert first == BalanceThreshold(ADA, "credits", 80, 100_000, 100_000, 0, 3, None)
    assert last == BalanceExhausted(ADA, "credits", 100_000, 100_000, 0, 3, None)
