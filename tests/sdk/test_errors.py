"""Every answer that is none becomes the right error, with all that the server said; a refusal is an answer."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.sdk.conftest import KEY, Client
from tollhouse_sdk import (
    Admission,
    ApiError,
    Ask,
    AuthenticationError,
    Conflict,
    Forbidden,
    InvalidRequest,
    LeaseLost,
    NotConfigured,
    NotFound,
    RateLimited,
    Refused,
    Response,
    Retries,
    Tollhouse,
    TollhouseError,
    Unavailable,
    UnexpectedAnswer,
    json_response,
)

REFUSED = {
    "allowed": False,
    "id": None,
    "replayed": False,
    "reason": {
        "code": "credits_exhausted", "meter": "credits", "needed": 50, "remaining": 12.5, "resets_at": None,
        "upgrade": {"plan": "starter", "url": "/pricing?plan=starter"},
    },
    "meters": {"credits": {"total": 100, "used": 87.5, "remaining": 12.5, "resets_at": None}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, AuthenticationError),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, LeaseLost),
        (413, InvalidRequest),
        (418, ApiError),
        (422, InvalidRequest),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_each_status_has_its_class(client: Client, status: int, kind: type[ApiError]) -> None:
    told = {
        "type": "/docs/errors#x",
        "status": status,
        "code": "x",
        "detail": "what happened",
        "fix": "do this",
        "meter": "m",
    }
    client.with_options(retries=Retries(attempts=1)).answers(json_response(told, status))
    with pytest.raises(TollhouseError) as raised:
        client("admit", "ada", "launch", key="k")
    error = raised.value
    assert type(error) is kind
    assert isinstance(error, ApiError)
    assert (error.status, error.code, error.detail, error.fix, error.key) == (
        status,
        "x",
        "what happened",
        "do this",
        "k",
    )
    assert error.fields == {"meter": "m"}
    assert "what happened; fix: do this" in str(error)


def test_a_proxys_own_page_is_an_error_too(client: Client) -> None:
    """HTML instead of a problem: the status says enough."""
    client.with_options(retries=Retries(attempts=1)).answers(Response(502, {}, b"<html>Bad gateway</html>"))
    with pytest.raises(Unavailable) as raised:
        client("check", "ada", "launch")
    assert raised.value.code == "http_502"


@pytest.mark.parametrize(
    "answer",
    [Response(200, {}, b"<html>"), Response(200, {}, b'{"hello": 1}'), Response(302, {"location": "https://x"}, b"")],
    ids=["page", "other JSON", "redirect"],
)
def test_what_is_not_tollhouse_is_said_so(client: Client, answer: Response) -> None:
    client.answers(answer)
    with pytest.raises(UnexpectedAnswer):
        client("admit", "ada", "launch")
    assert len(client.sent) == 1


def test_a_refusal_is_an_answer(client: Client) -> None:
    client.answers(json_response(REFUSED))
    answer = client("admit", "ada", "launch")
    assert answer.allowed is False
    assert answer.reason.code == "credits_exhausted"
    assert answer.reason.remaining == Decimal("12.5")
    assert answer.reason.upgrade.plan == "starter"
    assert answer.meters["credits"].used == Decimal("87.5")


def test_who_wants_an_exception_requires(client: Client) -> None:
    client.answers(json_response(REFUSED))
    answer: Admission = client("admit", "ada", "launch")
    with pytest.raises(Refused, match=r"credits_exhausted: 50 of credits needed, 12\.5 left") as raised:
        answer.require()
    assert raised.value.reason == answer.reason
    with pytest.raises(Refused):
        _ = answer.admitted_id


def test_one_bad_item_of_a_batch_is_an_error_among_answers(client: Client) -> None:
    bad = {
        "allowed": False,
        "id": None,
        "error": {"status": 422, "code": "unknown_action", "detail": "no such", "fix": "f"},
    }
    client.answers(json_response({"items": [{"allowed": True, "id": "adm_1"}, bad, REFUSED]}))
    good, wrong, refused = client("admit_batch", [Ask("ada", name) for name in ("launch", "fly", "launch")])
    assert good.id == "adm_1"
    assert isinstance(wrong, InvalidRequest)
    assert wrong.code == "unknown_action"
    assert refused.reason.code == "credits_exhausted"


def test_floats_are_refused_before_anything_is_sent(client: Client) -> None:
    with pytest.raises(TypeError, match=r"Decimal\('12\.5'\)"):
        client("admit", "ada", "chat", amount={"credits": 12.5})
    assert client.sent == []


def test_amounts_arrive_with_every_digit(client: Client) -> None:
    client.answers(json_response({"allowed": True, "id": "adm_1", "debits": {"credits": Decimal("0.125")}}))
    answer = client("admit", "ada", "chat", amount={"credits": Decimal("0.125")})
    assert b'"credits":0.125' in (client.transport.requests[0].body or b"")
    assert answer.debits == {"credits": Decimal("0.125")}


def test_ids_are_written_safely_into_paths(client: Client) -> None:
    client.answers(json_response({}, 404))
    with pytest.raises(NotFound):
        client("customers.get", "../admin?x=1#y")
    assert client.transport.requests[0].url.endswith("/v1/customers/..%2Fadmin%3Fx%3D1%23y")


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("", KEY, "TOLLHOUSE_URL"),
        ("tollhouse.test", KEY, "is no address"),
        ("ftp://tollhouse.test", KEY, "is no address"),
        ("http://tollhouse.test", "", "TOLLHOUSE_KEY"),
        ("http://tollhouse.test", "th_sk_a\nb", "copy it again"),
    ],
)
def test_a_client_that_cannot_work_is_not_made(url: str, key: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLHOUSE_URL", raising=False)
    monkeypatch.delenv("TOLLHOUSE_KEY", raising=False)
    with pytest.raises(NotConfigured, match=says):
        Tollhouse(url, key)


def test_address_and_key_may_come_from_the_environment(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLHOUSE_URL", "http://elsewhere.test/")
    monkeypatch.setenv("TOLLHOUSE_KEY", KEY)
    client.answers(json_response(REFUSED))
    with Tollhouse(transport=client.transport) as made:
        made.check("ada", "launch")
    sent = client.transport.requests[0]
    assert sent.url == "http://elsewhere.test/v1/check"
    assert sent.headers["authorization"] == f"Bearer {KEY}"


def test_the_secret_key_is_in_no_text(client: Client) -> None:
    """Neither the client nor a request shows it when printed."""
    client.answers(json_response(REFUSED))
    client("check", "ada", "launch")
    with Tollhouse("http://tollhouse.test", KEY, transport=client.transport) as made:
        assert KEY not in repr(made) + repr(made._options) + repr(client.transport.requests)
