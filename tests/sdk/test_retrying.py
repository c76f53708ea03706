"""A call is sent again when that may help, with the same key, with growing pauses, and never past its deadline."""

from __future__ import annotations

import pytest

from tests.sdk.conftest import Client
from tollhouse_sdk import (
    Ask,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    RateLimited,
    Response,
    Retries,
    TimedOut,
    Unavailable,
    json_response,
)
from tollhouse_sdk.retries import Attempts

ALLOWED = json_response({"allowed": True, "id": "adm_1", "replayed": False, "debits": {"credits": 50}, "meters": {}})


def problem(status: int, code: str = "unavailable", **headers: str) -> Response:
    return json_response({"status": status, "code": code, "detail": "told"}, status, headers)


@pytest.mark.parametrize(
    "failure",
    [ConnectionFailed("reset"), TimedOut("slow"), problem(429), problem(502), problem(503), problem(504)],
    ids=["connection", "timeout", "429", "502", "503", "504"],
)
def test_a_failure_that_may_pass_is_tried_again_with_the_same_key(
    client: Client, failure: Response | ConnectionFailed
) -> None:
    """Ada's server is restarted while she launches: one debit, whichever attempt arrived."""
    client.answers(failure, failure, ALLOWED)
    assert client("admit", "ada", "launch").id == "adm_1"
    keys = [body["key"] for body in client.sent]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(client.pauses) == 2


@pytest.mark.parametrize(("status", "kind"), [(409, Conflict), (422, InvalidRequest), (500, Unavailable)])
def test_a_failure_that_stays_is_told_at_once(client: Client, status: int, kind: type[Exception]) -> None:
    client.answers(problem(status))
    with pytest.raises(kind):
        client("admit", "ada", "launch")
    assert client.pauses == []


def test_two_calls_have_two_keys_and_a_key_of_ones_own_is_kept(client: Client) -> None:
    client.answers(ALLOWED, ALLOWED, ALLOWED)
    client("admit", "ada", "launch")
    client("admit", "ada", "launch")
    client("admit", "ada", "launch", key="req-81")
    first, second, third = (body["key"] for body in client.sent)
    assert first != second
    assert third == "req-81"
    assert not first.startswith("~")


def test_every_item_of_a_batch_has_a_key_that_stays(client: Client) -> None:
    client.answers(ConnectionFailed("reset"), json_response({"items": [{"allowed": True, "id": "adm_1"}] * 2}))
    client("admit_batch", [Ask("ada", "launch"), Ask("bob", "launch", key="mine")])
    before, after = client.sent
    assert before == after
    assert before["items"][0]["key"] not in (None, "mine")
    assert before["items"][1]["key"] == "mine"


def test_the_servers_own_pause_is_kept_to(client: Client) -> None:
    """Retry-After: 3 is waited for, however short our own pause would be."""
    client.answers(problem(429, "rate_limited", **{"retry-after": "3"}), ALLOWED)
    client("admit", "ada", "launch")
    assert client.pauses == [3.0]


def test_a_pause_beyond_the_deadline_is_not_begun(client: Client) -> None:
    """Who has two seconds learns at once that the server asks for a minute."""
    client.with_options(deadline=2.0).answers(problem(429, "rate_limited", **{"retry-after": "60"}))
    with pytest.raises(RateLimited) as told:
        client("admit", "ada", "launch", key="req-7")
    assert told.value.retry_after == 60
    assert client.pauses == []


def test_the_last_failure_is_told_with_the_key_to_go_on_with(client: Client) -> None:
    """Not knowing whether it was debited, the caller can ask again later with the same key."""
    client.with_options(retries=Retries(attempts=3)).answers(*[ConnectionFailed("reset") for _ in range(3)])
    with pytest.raises(ConnectionFailed) as told:
        client("admit", "ada", "launch")
    assert told.value.key == client.sent[0]["key"]
    assert len(client.sent) == 3


def test_pauses_double_up_to_a_limit_and_are_spread() -> None:
    attempts = Attempts(Retries(attempts=9, first_pause_seconds=1, longest_pause_seconds=8), 10, 1_000, now=0)
    for longest in (1, 2, 4, 8, 8):
        attempts.next_timeout(now=0)
        assert longest / 2 <= attempts.pause_after(ConnectionFailed("reset"), now=0) <= longest


def test_an_attempt_may_not_outlast_the_deadline() -> None:
    attempts = Attempts(Retries(), timeout=10, deadline=12, now=100)
    assert attempts.next_timeout(now=100) == 10
    assert attempts.next_timeout(now=107) == 5
    with pytest.raises(TimedOut, match="no answer within 12 s"):
        attempts.next_timeout(now=112)


def test_no_pause_runs_past_the_deadline() -> None:
    attempts = Attempts(Retries(first_pause_seconds=4, longest_pause_seconds=4), timeout=10, deadline=5, now=0)
    attempts.next_timeout(now=0)
    with pytest.raises(ConnectionFailed, match="reset"):
        attempts.pause_after(ConnectionFailed("reset"), now=4)
