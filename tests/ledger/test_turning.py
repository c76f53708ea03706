"""What time alone does: each thing is dated at its boundary, one entry for each, whenever somebody looks again."""

from __future__ import annotations

import pytest

from tests.ledger.world import CATALOG, DAY, FREE, HOUR, METERS, STARTER, Account, at, catalog_of
from tollhouse.catalog.model import Meter
from tollhouse.kernel.errors import Unavailable
from tollhouse.ledger.book import time_of
from tollhouse.ledger.model import Entry, Shortage
from tollhouse.ledger.turning import advance

MONTHLY = {name: meter for name, meter in METERS.items() if name != "exports"}


def test_three_idle_months_leave_three_turns_and_two_expiries_in_the_order_of_their_dates() -> None:
    ada = Account(at("2026-01-31 10:00"), catalog_of(FREE, STARTER, meters=MONTHLY))
    ada.grant(at("2026-01-31 10:00"), 7_000, expires_at=at("2026-02-10"))
    ada.grant(at("2026-01-31 10:00"), 9_000, expires_at=at("2026-04-02"))
    ada.admit(at("2026-02-01"), sessions=4, credits=3_000)

    entries = ada.until(at("2026-05-01"))

    assert [(entry.kind, entry.at) for entry in entries] == [
        ("expiry", at("2026-02-10")),
        ("turn", at("2026-02-28 10:00")),
        ("turn", at("2026-03-31 10:00")),
        ("expiry", at("2026-04-02")),
        ("turn", at("2026-04-30 10:00")),
    ]
    assert [entry.moves for entry in entries if entry.kind == "turn"] == [
        (("sessions", str(at("2026-01-31 10:00")), 4),),
        (),
        (),
    ]
    assert [move[2] for entry in entries if entry.kind == "expiry" for move in entry.moves] == [-4_000, -9_000]
    assert ada.state.next_due == at("2026-05-31 10:00")


def test_looking_twice_changes_nothing() -> None:
    ada = Account(at("2026-01-31"))
    ada.until(at("2026-06-15"))

    assert advance(ada.state, CATALOG, at("2026-06-15")) == (ada.state, [])


def test_a_quota_is_empty_at_the_boundary_itself() -> None:
    ada = Account(at("2026-01-31 10:00"))
    end = at("2026-02-28 10:00")
    ada.admit(end - 1, sessions=10)

    assert isinstance(ada.admit(end - 1, sessions=1), Shortage)
    assert isinstance(ada.admit(end, sessions=10), Entry)


def test_a_lot_cannot_be_spent_at_the_moment_it_expires() -> None:
    ada = Account(at("2026-01-31"))
    ada.admit(at("2026-01-31"), credits=100_000)
    ada.grant(at("2026-01-31"), 5_000, expires_at=at("2026-02-10"))

    assert isinstance(ada.admit(at("2026-02-10") - 1, credits=1_000), Entry)
    assert isinstance(ada.admit(at("2026-02-10"), credits=1_000), Shortage)


@pytest.mark.row("S9")
def test_a_known_cancellation_date_turns_to_the_free_plan_by_itself() -> None:
    ada = Account(at("2026-01-01"))
    period = (at("2026-01-05"), at("2026-02-05"))
    ada.subscribe(period[0], STARTER, anchor=period[0])
    ada.pay(period[0], STARTER, period)
    ada.subscribe(at("2026-01-20"), STARTER, ends_at=period[1])
    ada.admit(at("2026-02-04"), credits=400_000)

    ada.until(at("2026-02-07"))

    assert ada.state.plan == "free"
    assert ada.balance() == (0, 0)
    endings = [(entry.kind, entry.at) for entry in ada.entries[-5:]]
    assert ("plan", period[1]) in endings
    assert ("expiry", period[1]) in endings


def test_a_notice_of_the_end_that_comes_late_says_the_same_as_time() -> None:
    ada = Account(at("2026-01-01"))
    period = (at("2026-01-05"), at("2026-02-05"))
    ada.subscribe(period[0], STARTER, anchor=period[0])
    ada.pay(period[0], STARTER, period)

    ada.subscribe(at("2026-02-07"), STARTER, ends_at=period[1])
    ada.until(at("2026-02-07"))

    assert ada.state.plan == "free"
    assert ada.state.ends_at is None
    assert ada.balance() == (0, 0)
    assert ada.subscribe(at("2026-02-07"), STARTER, ends_at=period[1]) == ()


def test_a_day_quota_that_becomes_a_month_quota_goes_on_where_it_ended() -> None:
    ada = Account(at("2026-01-31 10:00"))
    ada.admit(at("2026-01-31 11:00"), exports=3)
    ada.catalog = catalog_of(FREE, STARTER, meters={**METERS, "exports": Meter("exports", "quota", period="month")})

    ada.until(at("2026-02-01 12:00"))

    quota = ada.state.quotas["exports"]
    assert (quota.used, quota.start, quota.end) == (0, at("2026-02-01 10:00"), at("2026-02-28 10:00"))


def test_a_clock_that_goes_back_a_little_stands_still_and_one_far_behind_is_not_believed() -> None:
    ada = Account(at("2026-01-31"))
    ada.admit(at("2026-02-03"), requests=6)
    decided = ada.state.decided_at

    assert time_of(ada.state, decided - 5_000) == decided
    assert isinstance(ada.admit(time_of(ada.state, decided - 5_000), requests=1), Shortage)
    with pytest.raises(Unavailable, match="5001 ms ahead"):
        time_of(ada.state, decided - 5_001)
    assert time_of(ada.state, decided + HOUR) == decided + HOUR


def test_the_turn_of_two_meters_at_one_boundary_is_one_entry() -> None:
    ada = Account(at("2026-01-15"))
    ada.admit(at("2026-02-14 12:00"), exports=2, sessions=3)

    (turn,) = ada.until(at("2026-02-15"))

    assert turn.at == at("2026-02-15")
    assert sorted(turn.moves) == [
        ("exports", str(at("2026-02-14")), 2),
        ("sessions", str(at("2026-01-15")), 3),
    ]
    assert ada.state.next_due == at("2026-02-15") + DAY
