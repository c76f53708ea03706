"""The throttle: bounded, forgiving, and no way to lock somebody else out for good."""

from __future__ import annotations

import pytest

from tollhouse.identity.throttle import Throttle, network_of
from tollhouse.kernel.clock import MINUTE, SECOND
from tollhouse.kernel.errors import TooManyAttempts


def wait_of(throttle: Throttle, key: str, now: int) -> int:
    """Seconds to wait before the next attempt; 0 when it was counted."""
    try:
        throttle.attempt(key, now)
    except TooManyAttempts as refusal:
        return int(str(refusal.fields["retry_after"]))
    return 0


def test_pauses_double_up_to_the_longest() -> None:
    throttle, now, pauses = Throttle(free=2, longest_pause_ms=MINUTE), 0, []
    throttle.attempt("a", now)
    for _ in range(7):
        assert wait_of(throttle, "a", now) == 0
        pause = wait_of(throttle, "a", now)
        now += pause * SECOND
        pauses.append(pause)
    assert pauses == [2, 4, 8, 16, 32, 60, 60]


def test_attempts_during_a_pause_do_not_lengthen_it() -> None:
    throttle = Throttle(free=1)
    throttle.attempt("a", 0)
    assert [wait_of(throttle, "a", now) for now in (0, 500, 1_000, 1_999)] == [2, 2, 1, 1]
    assert wait_of(throttle, "a", 2_000) == 0


def test_a_quiet_while_is_a_new_beginning() -> None:
    throttle = Throttle(free=1, longest_pause_ms=MINUTE)
    for _ in range(3):
        wait_of(throttle, "a", 0)
    assert wait_of(throttle, "a", MINUTE + 1) == 0


def test_what_was_rightful_is_taken_back() -> None:
    throttle = Throttle(free=2)
    for _ in range(50):
        throttle.attempt("a", 0)
        throttle.forgive("a")
    throttle.forgive("unknown")


def test_it_keeps_no_more_than_it_may() -> None:
    throttle = Throttle(most=10)
    for number in range(1_000):
        throttle.attempt(str(number), 0)
    assert len(throttle) == 10


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("not an address", "not an address"),
    ],
)
def test_one_caller_is_an_address_or_a_network(address: str, network: str) -> None:
    assert network_of(address) == network
