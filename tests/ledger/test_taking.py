"""An action takes all that it costs or nothing, and a refusal says which limit, what is left and when it resets."""

from __future__ import annotations

import pytest

from tests.ledger.world import CATALOG, DAY, FREE, HOUR, METERS, MINUTE, NARROW, PRO, STARTER, Account, at, catalog_of
from tollhouse.catalog.model import Meter
from tollhouse.ledger.model import Entry, Shortage
from tollhouse.ledger.rules import next_due, slide

NOON = at("2026-03-10 12:00")


@pytest.mark.row("A4", "X3")
def test_credits_are_taken_to_the_last_thousandth_and_not_beyond() -> None:
    ada = Account(NOON)

    assert isinstance(ada.admit(NOON, credits=99_999), Entry)
    assert isinstance(ada.admit(NOON, credits=1), Entry)
    refused = ada.admit(NOON, credits=1)

    assert refused == Shortage("credits_exhausted", "credits", needed=1, remaining=0)
    assert ada.balance() == (100_000, 100_000)


@pytest.mark.row("S10")
def test_a_quota_stops_at_its_limit_and_names_its_reset() -> None:
    ada = Account(NOON)
    for _ in range(10):
        assert isinstance(ada.admit(NOON, sessions=1), Entry)

    assert ada.admit(NOON, sessions=1) == Shortage(
        "quota_exhausted", "sessions", needed=1, remaining=0, resets_at=at("2026-04-10 12:00")
    )


@pytest.mark.row("S4")
def test_slots_and_owned_things_have_their_own_refusals() -> None:
    ada = Account(NOON)
    ada.admit(NOON, concurrent=1, projects=1)

    assert ada.admit(NOON, concurrent=1) == Shortage("concurrency_exhausted", "concurrent", needed=1, remaining=0)
    assert ada.admit(NOON, projects=1) == Shortage("count_exhausted", "projects", needed=1, remaining=0)


def test_one_short_meter_leaves_every_other_untouched() -> None:
    ada = Account(NOON)
    ada.admit(NOON, projects=1)
    before = ada.state

    refused = ada.admit(NOON, credits=10, sessions=1, requests=1, concurrent=1, projects=1)

    assert isinstance(refused, Shortage)
    assert refused.code == "count_exhausted"
    assert ada.state == before


def test_of_two_shortages_the_one_that_waiting_helps_least_is_named() -> None:
    ada = Account(NOON)
    ada.admit(NOON, requests=6, credits=100_000)

    refused = ada.admit(NOON, requests=1, credits=1)

    assert isinstance(refused, Shortage)
    assert refused.code == "credits_exhausted"


def test_a_meter_that_the_plan_does_not_name_is_refused() -> None:
    ada = Account(NOON)
    ada.subscribe(NOON, NARROW)
    assert ada.admit(NOON, projects=1) == Shortage("plan_lacks_action", "projects")
    assert ada.admit(NOON, credits=1) == Shortage("plan_lacks_action", "credits")
    assert isinstance(ada.admit(NOON, sessions=5), Entry)


def test_unlimited_is_never_refused_and_still_counted() -> None:
    ada = Account(NOON)
    ada.subscribe(NOON, PRO)

    for _ in range(3):
        assert isinstance(ada.admit(NOON, sessions=10**9, requests=10**6, concurrent=100, projects=1_000), Entry)

    assert ada.state.quotas["sessions"].used == 3 * 10**9
    assert ada.state.held == {"concurrent": 300}
    assert ada.state.counts == {"projects": 3_000}


def test_credits_that_expire_soonest_go_first_and_the_plan_before_what_was_bought() -> None:
    ada = Account(NOON)
    bought = ada.grant(NOON, 50_000)
    late = ada.grant(NOON, 50_000, expires_at=NOON + 9 * DAY)
    soon = ada.grant(NOON, 50_000, expires_at=NOON + 2 * DAY)
    plans = next(lot.id for lot in ada.state.lots["credits"] if lot.source == "plan")

    entry = ada.admit(NOON, credits=220_000)

    assert isinstance(entry, Entry)
    assert entry.moves == (
        ("credits", soon.id, -50_000),
        ("credits", late.id, -50_000),
        ("credits", plans, -100_000),
        ("credits", bought.id, -20_000),
    )


def test_credits_that_wait_for_a_verified_address_are_not_spent_before() -> None:
    ada = Account(NOON)
    ada.grant(NOON, 30_000, locked=True)
    ada.admit(NOON, credits=100_000)

    assert ada.admit(NOON, credits=30_000) == Shortage(
        "credits_exhausted", "credits", needed=30_000, remaining=0, verify_email=True
    )
    refused = ada.admit(NOON, credits=30_001)
    assert isinstance(refused, Shortage)
    assert not refused.verify_email

    (unlocked,) = ada.verify_email(NOON)
    assert (unlocked.kind, unlocked.moves) == ("unlock", ())
    assert ada.verify_email(NOON) == ()
    assert isinstance(ada.admit(NOON, credits=30_000), Entry)


def test_an_expiring_lot_that_is_spent_is_no_longer_due() -> None:
    ada = Account(NOON, catalog_of(FREE, meters={name: METERS[name] for name in ("credits", "requests", "projects")}))
    ada.grant(NOON, 5_000, expires_at=NOON + DAY)
    assert ada.state.next_due == NOON + DAY

    ada.admit(NOON, credits=5_000)

    assert ada.state.next_due is None
    assert ada.until(NOON + 2 * DAY) == []


@pytest.mark.row("S4")
def test_a_rate_counts_the_sixth_it_is_in_and_the_six_before() -> None:
    ada = Account(NOON)
    assert isinstance(ada.admit(NOON + 9_999, requests=6), Entry)

    refused = ada.admit(NOON + 60_000, requests=1)
    assert refused == Shortage(
        "rate_limited", "requests", needed=1, remaining=0, resets_at=NOON + 70_000, retry_after_ms=10_000
    )
    assert isinstance(ada.admit(NOON + 69_999, requests=1), Shortage)
    assert isinstance(ada.admit(NOON + 70_000, requests=6), Entry)


def test_a_rate_tells_exactly_when_enough_is_free_again() -> None:
    ada = Account(NOON)
    for step in range(3):
        ada.admit(NOON + step * 10_000, requests=2)

    refused = ada.admit(NOON + 30_000, requests=3)

    assert isinstance(refused, Shortage)
    assert refused.resets_at == NOON + 80_000
    assert refused.retry_after_ms is not None
    free_again = NOON + 30_000 + refused.retry_after_ms
    assert isinstance(ada.admit(free_again - 1, requests=3), Shortage)
    assert isinstance(ada.admit(free_again, requests=3), Entry)


def test_more_than_a_rate_ever_allows_waits_for_the_whole_window() -> None:
    ada = Account(NOON)
    ada.admit(NOON, requests=1)

    refused = ada.admit(NOON, requests=7)

    assert isinstance(refused, Shortage)
    assert refused.retry_after_ms == 70_000


@pytest.mark.parametrize("length_ms", [HOUR, 61_000, 59_000, 1_000])
def test_a_window_of_another_length_begins_anew_and_locks_nobody_out(length_ms: int) -> None:
    ada = Account(NOON)
    ada.admit(NOON, requests=6)
    other = Meter("requests", "rate", window_ms=length_ms)
    ada.catalog = catalog_of(FREE, STARTER, meters={**METERS, "requests": other})

    assert isinstance(ada.admit(NOON + 1, requests=6), Entry)
    assert isinstance(ada.admit(NOON + 2, requests=1), Shortage)
    assert sum(slide(ada.state.windows["requests"], other, NOON + 71 * MINUTE).counts) == 0


def test_a_reader_whose_clock_is_a_little_behind_sees_the_window_as_it_is() -> None:
    ada = Account(NOON)
    ada.admit(NOON, requests=6)

    assert sum(slide(ada.state.windows["requests"], METERS["requests"], NOON - 5_000).counts) == 6


def test_a_meter_that_became_a_quota_opens_its_period_with_the_first_use() -> None:
    ada = Account(NOON, catalog_of(FREE, meters={n: m for n, m in METERS.items() if n != "exports"}))
    ada.catalog = CATALOG

    assert isinstance(ada.admit(NOON + HOUR, exports=3), Entry)

    assert (ada.state.quotas["exports"].start, ada.state.quotas["exports"].end) == (NOON, NOON + DAY)
    assert ada.state.next_due == next_due(ada.state) == NOON + DAY
    assert isinstance(ada.admit(NOON + HOUR, exports=1), Shortage)
