"""How many lots one account carries, and that its document stays small."""

from __future__ import annotations

import pytest

from tests.ledger.world import DAY, HOUR, Account, at
from tollhouse.kernel.errors import Conflict, InvalidRequest
from tollhouse.kernel.units import LARGEST
from tollhouse.ledger.book import state_document
from tollhouse.ledger.model import LARGEST_STATE_BYTES, MOST_LOTS, Entry

NOW = at("2026-01-10")


def test_the_65th_live_lot_is_refused_and_a_spent_one_makes_room() -> None:
    ada = Account(NOW)
    for _ in range(MOST_LOTS - 1):
        ada.grant(NOW, 10)
    with pytest.raises(Conflict) as refused:
        ada.grant(NOW, 10)
    assert refused.value.code == "too_many_lots"

    ada.admit(NOW, credits=100_010)

    ada.grant(NOW, 10)
    assert len(ada.state.lots["credits"]) == MOST_LOTS


def fill(account: Account) -> int:
    """Grant large lots that expire until there is no room; how many there was room for."""
    for number in range(MOST_LOTS + 1):
        try:
            account.grant(NOW, 9_999_999_999 + number, expires_at=NOW + 40 * DAY + number)
        except Conflict:
            return number
    raise AssertionError("there was always room")


def test_an_account_filled_to_the_brim_can_still_be_spent() -> None:
    ada = Account(NOW)
    assert fill(ada) >= 40

    for hour in range(10):
        assert isinstance(ada.admit(NOW + hour * HOUR, credits=39_000_000_007, sessions=1, requests=6), Entry)
        assert len(state_document(ada.state).encode()) <= LARGEST_STATE_BYTES


@pytest.mark.parametrize("amount", [0, -1, LARGEST + 1])
def test_an_amount_out_of_range_is_no_grant(amount: int) -> None:
    ada = Account(NOW)
    with pytest.raises(InvalidRequest):
        ada.grant(NOW, amount)


def test_a_balance_never_passes_what_json_numbers_carry() -> None:
    ada = Account(NOW)
    ada.grant(NOW, LARGEST - 100_000)
    with pytest.raises(InvalidRequest, match="2\\^53"):
        ada.grant(NOW, 1)


def test_a_grant_that_is_expired_already_is_refused() -> None:
    ada = Account(NOW)
    with pytest.raises(InvalidRequest, match="already be expired"):
        ada.grant(NOW, 5, expires_at=NOW)
