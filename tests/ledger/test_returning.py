"""What comes back goes to where it was taken from, and never brings back what has ended."""

from __future__ import annotations

import pytest

from tests.ledger.world import CUSTOMER, DAY, FREE, METERS, STARTER, Account, at
from tollhouse.kernel.errors import Conflict, InvariantBroken
from tollhouse.kernel.ids import entry_id
from tollhouse.kernel.units import LARGEST
from tollhouse.ledger.model import MOST_LOTS, Entry
from tollhouse.ledger.returning import outstanding, returned_by_meter
from tollhouse.ledger.rules import next_due

NOW = at("2026-01-10")


def admitted(answer: object) -> Entry:
    assert isinstance(answer, Entry)
    return answer


@pytest.mark.row("X5")
def test_a_refund_fills_the_place_that_was_taken_last_first() -> None:
    ada = Account(NOW)
    soon = ada.grant(NOW, 10_000, expires_at=NOW + 5 * DAY)
    admission = admitted(ada.admit(NOW, credits=30_000, sessions=2))

    assert ada.give_back(NOW, admission, credits=25_000) == {}

    plan = next(lot for lot in ada.state.lots["credits"] if lot.source == "plan")
    assert plan.used == 0
    first = ada.state.lots["credits"][0]
    assert (first.id, first.remaining) == (soon.id, 5_000)


@pytest.mark.row("X5")
def test_more_than_was_taken_never_comes_back() -> None:
    ada = Account(NOW)
    admission = admitted(ada.admit(NOW, credits=30_000))
    ada.give_back(NOW, admission, credits=20_000)

    with pytest.raises(InvariantBroken, match="more of 'credits' would come back"):
        ada.give_back(NOW, admission, credits=10_001)
    ada.give_back(NOW, admission, credits=10_000)
    with pytest.raises(InvariantBroken, match="more of 'credits' would come back"):
        ada.give_back(NOW, admission, credits=1)


def test_a_spent_lot_that_gets_something_back_is_live_again_with_its_expiry() -> None:
    ada = Account(NOW)
    lot = ada.grant(NOW, 10_000, expires_at=NOW + 5 * DAY)
    admission = admitted(ada.admit(NOW, credits=10_000))
    assert lot.id not in {kept.id for kept in ada.state.lots["credits"]}

    ada.give_back(NOW + DAY, admission, credits=4_000)

    revived = ada.state.lots["credits"][0]
    assert (revived.id, revived.amount, revived.used, revived.expires_at) == (lot.id, 10_000, 6_000, NOW + 5 * DAY)
    assert ada.state.next_due == next_due(ada.state)
    ada.until(NOW + 5 * DAY)
    assert lot.id not in {kept.id for kept in ada.state.lots["credits"]}


def test_an_expired_lot_stays_expired() -> None:
    ada = Account(NOW)
    ada.grant(NOW, 10_000, expires_at=NOW + 5 * DAY)
    admission = admitted(ada.admit(NOW, credits=10_000))
    before = ada.balance()

    assert ada.give_back(NOW + 5 * DAY, admission, credits=10_000) == {"credits": 10_000}
    assert ada.balance() == before


def test_a_replaced_plan_lot_stays_replaced() -> None:
    ada = Account(NOW)
    admission = admitted(ada.admit(NOW, credits=60_000))
    ada.subscribe(NOW, STARTER)
    ada.pay(NOW, STARTER, (NOW, NOW + 30 * DAY))

    assert ada.give_back(NOW, admission, credits=60_000) == {"credits": 60_000}
    assert ada.balance() == (1_000_000, 0)


def test_a_plan_lot_that_ended_with_its_subscription_stays_ended() -> None:
    ada = Account(NOW)
    ada.subscribe(NOW, STARTER)
    ada.pay(NOW, STARTER, (NOW, NOW + 30 * DAY))
    admission = admitted(ada.admit(NOW, credits=60_000))
    ada.subscribe(NOW + DAY, FREE)
    ada.until(NOW + 31 * DAY)

    assert ada.give_back(NOW + 31 * DAY, admission, credits=60_000) == {"credits": 60_000}
    assert ada.balance() == (0, 0)


def test_an_old_period_never_lowers_the_new_one() -> None:
    ada = Account(NOW)
    admission = admitted(ada.admit(NOW, sessions=3))
    later = at("2026-02-12")
    ada.admit(later, sessions=2)

    assert ada.give_back(later, admission, sessions=3) == {"sessions": 3}
    assert ada.state.quotas["sessions"].used == 2


def test_what_is_owned_and_what_is_held_come_back_and_a_request_stays_made() -> None:
    ada = Account(NOW)
    admission = admitted(ada.admit(NOW, projects=1, concurrent=1, requests=1, sessions=1))

    places = outstanding(admission.moves, ())
    assert returned_by_meter(places, METERS) == {"projects": 1, "sessions": 1}
    assert ada.give_back(NOW, admission, projects=1, concurrent=1) == {}
    assert ada.state.counts == {"projects": 0}
    assert ada.state.held == {"concurrent": 0}


def test_an_admission_of_a_meter_that_the_catalogue_no_longer_has_can_still_be_refunded() -> None:
    ada = Account(NOW)
    admission = admitted(ada.admit(NOW, projects=1, sessions=1))

    left = returned_by_meter(outstanding(admission.moves, ()), {"sessions": METERS["sessions"]})

    assert left == {"sessions": 1}


def test_the_books_of_one_admission_that_gave_back_too_much_are_told() -> None:
    with pytest.raises(InvariantBroken, match="give back more than it took"):
        outstanding([("credits", "lot_a", -5)], [("credits", "lot_a", 6)])


def test_a_spent_lot_waits_while_there_are_as_many_lots_as_fit() -> None:
    ada = Account(NOW)
    ada.grant(NOW, 1_000, expires_at=NOW + 90 * DAY)
    admission = admitted(ada.admit(NOW, credits=1_000))
    for _ in range(MOST_LOTS - 1):
        ada.grant(NOW, 1)

    with pytest.raises(Conflict) as refused:
        ada.give_back(NOW, admission, credits=1_000)
    assert refused.value.code == "too_many_lots"

    ada.admit(NOW, credits=100_001)
    assert ada.give_back(NOW, admission, credits=1_000) == {}


def test_a_lot_that_no_book_knows_is_an_error_and_not_a_loss() -> None:
    ada = Account(NOW)
    lot = ada.grant(NOW, 1_000, expires_at=NOW + DAY)
    admission = admitted(ada.admit(NOW, credits=1_000))
    assert lot.id == entry_id("lot", CUSTOMER, 3)
    del ada.facts[lot.id]

    with pytest.raises(InvariantBroken, match="is unknown"):
        ada.give_back(NOW, admission, credits=1_000)


def test_a_spent_lot_waits_while_the_lots_would_not_fit_the_accounts_document() -> None:
    ada = Account(NOW)
    ada.grant(NOW, 1_000, expires_at=NOW + 90 * DAY)
    admission = admitted(ada.admit(NOW, credits=1_000))
    while True:
        try:
            ada.grant(NOW, 1_000_000, "images", expires_at=NOW + 90 * DAY)
        except Conflict:
            break
    assert sum(len(lots) for lots in ada.state.lots.values()) < MOST_LOTS - 1

    with pytest.raises(Conflict) as refused:
        ada.give_back(NOW, admission, credits=1_000)
    assert refused.value.code == "too_many_lots"


def test_a_spent_lot_waits_while_the_balance_would_pass_the_largest_number() -> None:
    ada = Account(NOW)
    ada.grant(NOW, 1_000, expires_at=NOW + 90 * DAY)
    admission = admitted(ada.admit(NOW, credits=1_000))
    ada.grant(NOW, LARGEST - 100_000)

    with pytest.raises(Conflict) as refused:
        ada.give_back(NOW, admission, credits=1_000)
    assert refused.value.code == "too_many_lots"
