"""Plans change and invoices are paid, in whatever order the news comes."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from tests.ledger.world import DAY, FREE, NARROW, PRO, STARTER, Account, at, catalog_of
from tollhouse.catalog.model import Grant, LotMode, OnUpgrade, PlanVersion
from tollhouse.ledger import granting
from tollhouse.ledger.book import decode_state, state_document
from tollhouse.ledger.model import Entry, Shortage
from tollhouse.ledger.turning import advance

SIGN_UP = at("2026-01-01")
JANUARY = (at("2026-01-31"), at("2026-02-28"))
FEBRUARY = (at("2026-02-28"), at("2026-03-31"))


@pytest.mark.row("A1")
def test_sign_up_brings_the_plan_and_its_credits() -> None:
    ada = Account(SIGN_UP)

    assert ada.state.plan == "free"
    assert ada.balance() == (100_000, 0)
    assert [(entry.seq, entry.kind, entry.action) for entry in ada.entries] == [
        (1, "opened", "opened"),
        (2, "grant", "sign_up_grant"),
    ]


@pytest.mark.row("A3")
def test_starter_replaces_the_free_credits_and_leaves_what_was_bought() -> None:
    ada = Account(SIGN_UP)
    ada.admit(SIGN_UP, credits=40_000)
    ada.grant(SIGN_UP, 25_000)

    ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    ada.pay(JANUARY[0], STARTER, JANUARY)

    by_source = {lot.source: (lot.amount, lot.used) for lot in ada.state.lots["credits"]}
    assert by_source == {"plan": (1_000_000, 0), "topup": (25_000, 0)}


@pytest.mark.row("A3")
def test_a_renewal_resets_what_the_plan_gave() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    ada.pay(JANUARY[0], STARTER, JANUARY)
    ada.admit(JANUARY[0] + DAY, credits=999_999)

    (renewal,) = ada.pay(FEBRUARY[0], STARTER, FEBRUARY)

    assert ada.balance() == (1_000_000, 0)
    assert [amount for _meter, _lot, amount in renewal.moves] == [-1, 1_000_000]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_invoices_in_any_order_leave_the_newest_period(order: tuple[int, ...]) -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    periods = [JANUARY, FEBRUARY, (at("2026-03-31"), at("2026-04-30"))]

    for number in order:
        ada.pay(at("2026-04-01"), STARTER, periods[number])

    (lot,) = ada.state.lots["credits"]
    assert (lot.amount, lot.used, lot.since) == (1_000_000, 0, periods[2][0])


def test_credits_that_are_added_stay_beside_the_older_ones() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], PRO, anchor=JANUARY[0])
    ada.pay(JANUARY[0], PRO, JANUARY)
    ada.admit(JANUARY[0], images=15)
    ada.pay(FEBRUARY[0], PRO, FEBRUARY)

    assert ada.balance("images") == (80, 15)


@pytest.mark.row("S9")
def test_a_paid_invoice_never_lowers_what_was_used_in_an_open_period() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    ada.admit(JANUARY[0] + DAY, sessions=9)

    ada.pay(JANUARY[0] + DAY, STARTER, JANUARY)
    ada.subscribe(JANUARY[0] + 2 * DAY, STARTER, anchor=JANUARY[0])

    assert ada.state.quotas["sessions"].used == 9


def test_a_new_subscription_opens_its_own_period_and_says_so_once() -> None:
    ada = Account(SIGN_UP)
    ada.admit(SIGN_UP + DAY, sessions=10)

    (change,) = ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])

    quota = ada.state.quotas["sessions"]
    assert (quota.used, quota.start, quota.end) == (0, *JANUARY)
    assert change.action == "plan_changed_up"
    assert ("sessions", str(SIGN_UP), 10) in change.moves
    assert ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0]) == ()


def test_an_anchor_that_lies_ahead_of_our_clock_closes_nothing() -> None:
    ada = Account(SIGN_UP)
    ada.admit(SIGN_UP + DAY, sessions=10)
    soon = SIGN_UP + 2 * DAY + 3_000

    ada.subscribe(SIGN_UP + 2 * DAY, STARTER, anchor=soon)
    assert ada.state.quotas["sessions"].used == 10

    ada.until(soon)
    assert (ada.state.quotas["sessions"].used, ada.state.quotas["sessions"].start) == (0, soon)


def test_a_downgrade_takes_nothing_away_and_admits_nothing_more() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(SIGN_UP, PRO)
    ada.admit(SIGN_UP, sessions=15, projects=5, concurrent=4)

    ada.subscribe(SIGN_UP, FREE)

    assert ada.state.quotas["sessions"].used == 15
    assert ada.state.counts == {"projects": 5}
    assert ada.admit(SIGN_UP, sessions=1) == Shortage(
        "quota_exhausted", "sessions", needed=1, remaining=0, resets_at=ada.state.quotas["sessions"].end
    )
    assert ada.admit(SIGN_UP, projects=1) == Shortage("count_exhausted", "projects", needed=1, remaining=0)
    assert ada.admit(SIGN_UP, concurrent=1) == Shortage("concurrency_exhausted", "concurrent", needed=1, remaining=0)


@pytest.mark.row("S9")
def test_a_subscription_that_ends_leaves_its_credits_to_the_end_of_what_was_paid() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    ada.pay(JANUARY[0], STARTER, JANUARY)
    ada.subscribe(at("2026-02-10"), FREE)

    assert isinstance(ada.admit(JANUARY[1] - 1, credits=1_000), Entry)
    assert ada.admit(JANUARY[1], credits=1_000) == Shortage("credits_exhausted", "credits", needed=1_000, remaining=0)


def test_paid_then_ended_and_ended_then_paid_come_to_the_same() -> None:
    first, second = Account(SIGN_UP), Account(SIGN_UP)
    for account in (first, second):
        account.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    first.pay(at("2026-02-10"), STARTER, JANUARY)
    first.subscribe(at("2026-02-10"), FREE)
    second.subscribe(at("2026-02-10"), FREE)
    second.pay(at("2026-02-10"), STARTER, JANUARY)

    assert [(lot.amount, lot.expires_at) for lot in first.state.lots["credits"]] == [(1_000_000, JANUARY[1])]
    assert [(lot.amount, lot.expires_at) for lot in second.state.lots["credits"]] == [(1_000_000, JANUARY[1])]


def test_an_invoice_for_a_period_that_has_passed_gives_nothing_once_the_subscription_is_over() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    ada.subscribe(at("2026-03-02"), FREE)

    (late,) = ada.pay(at("2026-03-02"), STARTER, JANUARY)

    assert late.action == "plan_upgraded_superseded"
    assert ada.balance() == (100_000, 0)


def test_who_subscribes_again_keeps_the_credits_that_were_to_expire() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], STARTER, anchor=JANUARY[0])
    ada.pay(JANUARY[0], STARTER, JANUARY)
    ada.subscribe(at("2026-02-10"), FREE)
    ada.subscribe(at("2026-02-11"), STARTER)

    ada.until(JANUARY[1] + DAY)

    assert ada.balance() == (1_000_000, 0)
    assert [lot.expires_at for lot in ada.state.lots["credits"]] == [None]


def test_a_change_of_standing_alone_is_written_once() -> None:
    ada = Account(SIGN_UP)

    (due,) = ada.subscribe(SIGN_UP, FREE, standing="past_due")

    assert (due.kind, due.action, due.moves) == ("plan", "standing_past_due", ())
    assert ada.subscribe(SIGN_UP, FREE, standing="past_due") == ()


def test_a_plan_with_another_credit_leaves_the_first_alone() -> None:
    narrow = NARROW
    ada = Account(SIGN_UP, catalog_of(FREE, narrow))
    ada.subscribe(SIGN_UP, narrow)
    ada.pay(SIGN_UP, narrow, JANUARY)

    assert narrow.grants == (Grant("images", 7, mode="add"),)
    assert ada.balance("images") == (7, 0)
    assert ada.balance("credits") == (100_000, 0)


def selling(amount: int, on_upgrade: OnUpgrade, mode: LotMode = "replace") -> PlanVersion:
    return msgspec.structs.replace(PRO, grants=(Grant("credits", amount, mode=mode, on_upgrade=on_upgrade),))


def test_upgrades_by_the_difference_bring_no_more_than_the_highest_plan_of_the_period() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], PRO, anchor=JANUARY[0])
    ada.pay(JANUARY[0], STARTER, JANUARY)
    ada.admit(JANUARY[0] + DAY, credits=900_000)
    for days, amount in ((2, 5_000_000), (3, 3_000_000), (4, 9_000_000)):
        upgraded = (JANUARY[0] + days * DAY, JANUARY[1])
        ada.pay(upgraded[0], selling(amount, "difference"), upgraded, "upgraded")

    assert ada.balance() == (9_000_000, 900_000)
    ada.pay(FEBRUARY[0], selling(9_000_000, "difference"), FEBRUARY)
    assert ada.balance() == (9_000_000, 0)


def test_the_difference_in_credits_that_add_up_counts_this_period_only() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], PRO, anchor=JANUARY[0])
    ada.pay(JANUARY[0], selling(1_000_000, "difference", "add"), JANUARY)
    ada.pay(FEBRUARY[0], selling(1_000_000, "difference", "add"), FEBRUARY)

    ada.pay(FEBRUARY[0] + DAY, selling(4_000_000, "difference", "add"), (FEBRUARY[0] + DAY, FEBRUARY[1]), "upgraded")

    assert ada.balance() == (100_000 + 1_000_000 + 4_000_000, 0)


def test_an_upgrade_that_waits_for_the_renewal_leaves_the_older_lot_and_its_entry_tells_it() -> None:
    ada = Account(SIGN_UP)
    ada.subscribe(JANUARY[0], PRO, anchor=JANUARY[0])
    ada.pay(JANUARY[0], STARTER, JANUARY)

    (entry,) = ada.pay(JANUARY[0] + DAY, selling(5_000_000, "none"), (JANUARY[0] + DAY, JANUARY[1]), "upgraded")

    assert (entry.action, entry.moves) == ("plan_upgraded", ())
    assert ada.balance() == (1_000_000, 0)


def test_a_time_of_grace_ends_by_itself_on_its_date_unless_the_plan_ends_before() -> None:
    ada = Account(SIGN_UP)
    due = JANUARY[0] + 3 * DAY
    change = granting.set_plan(
        ada.state, ada.catalog, STARTER, JANUARY[0], None, "good", JANUARY[0], past_due_at=due
    )  # fmt: skip

    before, early = advance(change.state, ada.catalog, due - 1)
    after, entries = advance(before, ada.catalog, due)
    (ended,) = [entry for entry in entries if entry.kind == "standing"]
    assert (before.standing, {entry.kind for entry in early}) == ("good", {"turn"})
    assert (after.standing, after.past_due_at) == ("past_due", None)
    assert (ended.kind, ended.action, ended.at, ended.moves) == ("standing", "standing_past_due", due, ())

    ending = granting.set_plan(
        ada.state, ada.catalog, STARTER, JANUARY[0], due - DAY, "good", JANUARY[0], past_due_at=due
    )  # fmt: skip
    free, _ = advance(ending.state, ada.catalog, due + DAY)
    assert (free.plan, free.standing) == ("free", "good")


def test_an_account_that_was_written_before_reads_as_ever() -> None:
    old = b'{"plan":"starter","plan_version":1,"decided_at":5,"seq":2,"anchor":1,"lots":{"credits":[{"id":"lot_1",'
    old += b'"amount":9,"used":1,"source":"plan","since":1,"until":7}]}}'
    state = decode_state(old)
    assert (state.past_due_at, state.lots["credits"][0].parts) == (None, ())
    assert state_document(state).encode() == old
