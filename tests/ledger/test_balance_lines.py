"""Which lines a balance crosses, and that nothing crosses none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.ledger.world import CUSTOMER, FREE, catalog_of
from tollhouse.kernel.facts import BalanceThreshold
from tollhouse.ledger.balances import balances_told
from tollhouse.ledger.model import Lot, State


def credits_of(*lots: Lot) -> State:
    return State("free", 1, 0, 1, 0, lots={"credits": lots})


@pytest.mark.parametrize(
    ("after", "thresholds"),
    [((Lot("lot_1", 100, 90, "plan"),), [80]), ((Lot("lot_1", 0, 0, "plan"),), []), ((), [])],
)
def test_no_threshold_is_told_of_a_balance_of_nothing(after: Any, thresholds: list[int]) -> None:
    found = catalog_of(FREE)
    terms = msgspec.structs.replace(found.terms, balance_thresholds=(80,))
    found = msgspec.structs.replace(found, terms=terms)
    told = balances_told(CUSTOMER, credits_of(Lot("lot_1", 100, 10, "plan")), credits_of(*after), found)
    assert [fact.percent for fact, _ in told if isinstance(fact, BalanceThreshold)] == thresholds
