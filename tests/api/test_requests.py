"""Requests as the contract has them: no unknown field, one key, one meaning; and problems that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import Api

BODIES: dict[str, dict[str, Any]] = {
    "/v1/admit": {"customer": "ada", "action": "one"},
    "/v1/check": {"customer": "ada", "action": "one"},
    "/v1/holds": {"customer": "ada", "action": "one"},
    "/v1/holds/{hold}/settle": {"amount": {"credits": 1}},
    "/v1/holds/{hold}/extend": {"ttl": "60s"},
    "/v1/admissions/{admission}/refund": {"key": "r-1", "reason": "sorry"},
    "/v1/customers": {"external_id": "bob", "email": "bob@example.com"},
    "/v1/customers/ada/projects": {"name": "Second"},
    "/v1/customers/ada/grants": {"meter": "credits", "amount": 1, "key": "g-1", "reason": "sorry"},
    "/api/validate-tool-access": {"tool": "app-builder", "user_id": "ada"},
    "/billing/checkout": {"plan": "starter", "user_id": "ada"},
    "/billing/portal": {"user_id": "ada"},
    "/billing/setup-intent": {"user_id": "ada"},
    "/billing/subscribe": {"user_id": "ada", "plan": "starter", "setup_intent": "seti_1"},
}
HOSTILE = (
    "a\x00b",
    "\x1b[31m",
    "\u202e" + "txt",
    "x" * 10_000,
    "",
    " ",
    "../../etc/passwd",
    "' or 1=1 --",
    "\U0010ffff",
)


@pytest.fixture
async def filled(api: Api) -> dict[str, dict[str, Any]]:
    """The bodies with ids that exist."""
    hold = (await api.post("/v1/holds", BODIES["/v1/holds"])).json()["id"]
    admission = (await api.admit("one"))["id"]
    return {path.replace("{hold}", hold).replace("{admission}", admission): body for path, body in BODIES.items()}


async def test_a_field_that_no_call_knows_is_refused_and_named(api: Api, filled: dict[str, dict[str, Any]]) -> None:
    before = await api.entries()
    for path, body in filled.items():
        answer = await api.post(path, body | {"custommer": "ada"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), path
        assert "custommer" in answer.json()["detail"]
    items = [BODIES["/v1/admit"] | {"custommer": "ada"}]
    batch = (await api.post("/v1/admit/batch", {"items": items})).json()
    assert batch["items"][0]["error"]["code"] == "invalid_request"
    assert await api.entries() == before


async def test_every_text_field_bears_every_text(api: Api, filled: dict[str, dict[str, Any]]) -> None:
    """NUL, which PostgreSQL cannot store, escapes, directions, lengths: an answer of the contract, never a 500."""
    for path, body in filled.items():
        for name in [name for name, value in body.items() if isinstance(value, str)] + ["key", "metadata"]:
            for text in HOSTILE:
                value: object = {"a": text, text: 1} if name == "metadata" else text
                answer = await api.post(path, body | {name: value})
                assert answer.status_code < 500 or "/billing/" in path, (path, name, text, answer.text)
    assert (await api.get("/v1/customers/ada")).status_code == 200
    assert (await api.get("/v1/customers/ada/entries")).status_code == 200


async def test_a_key_in_the_header_means_the_same_as_one_in_the_body(api: Api) -> None:
    for path, body in (
        ("/v1/admit", BODIES["/v1/admit"]),
        ("/v1/holds", BODIES["/v1/holds"]),
        ("/api/validate-tool-access", BODIES["/api/validate-tool-access"]),
        ("/v1/customers/ada/grants", {"meter": "credits", "amount": 1, "reason": "sorry"}),
    ):
        key = f"key of {path}"
        first = (await api.post(path, body | {"key": key})).json()
        again = (await api.post(path, body, Idempotency_Key=key)).json()
        both = (await api.post(path, body | {"key": key}, Idempotency_Key=key)).json()
        assert first["replayed"] is False
        assert again == both == first | {"replayed": True}
        differing = await api.post(path, body | {"key": key}, Idempotency_Key="another")
        assert (differing.status_code, differing.json()["code"]) == (422, "invalid_key")


async def test_a_key_with_another_request_is_refused_and_operations_are_apart(api: Api) -> None:
    body = {"customer": "ada", "action": "one", "key": "k-1"}
    assert (await api.post("/v1/admit", body)).json()["allowed"] is True
    for change in ({"action": "request"}, {"metadata": {"a": 1}}):
        answer = await api.post("/v1/admit", body | change)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    batch = (await api.post("/v1/admit/batch", {"items": [body, body | {"action": "request"}]})).json()["items"]
    assert (batch[0]["replayed"], batch[1]["error"]["code"]) == (True, "idempotency_key_reused")
    assert (await api.post("/v1/holds", body)).json()["replayed"] is False
    assert (await api.meters())["credits"]["used"] == 2


@pytest.mark.parametrize("key", ["", "~mine", "k" * 201, "a\nb", "a\x00b"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    for path in ("/v1/admit", "/v1/holds"):
        answer = await api.post(path, {"customer": "ada", "action": "one", "key": key})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_key")
    batch = await api.post("/v1/admit/batch", {"items": [BODIES["/v1/admit"]]}, Idempotency_Key="k")
    assert (batch.status_code, batch.json()["code"]) == (422, "invalid_key")


async def test_a_batch_takes_one_to_a_thousand_and_answers_in_their_order(api: Api) -> None:
    wrong: tuple[Any, ...] = ([], [BODIES["/v1/admit"]] * 1_001, None, {})
    for given in wrong:
        assert (await api.post("/v1/admit/batch", {"items": given})).status_code == 422
    items: list[Any] = [
        {"customer": "ada", "action": "one", "key": "first"},
        {"customer": "nobody", "action": "one"},
        {"customer": "ada"},
        {"customer": "ada", "action": "unknown"},
        {"customer": "ada", "action": "launch_tool_app-builder"},
        {"customer": "ada", "action": "launch_tool_app-builder"},
        {"customer": "ada", "action": "one", "key": "last"},
        7,
    ]
    answers = (await api.post("/v1/admit/batch", {"items": items})).json()["items"]
    told = [answer["error"]["code"] if "error" in answer else answer["allowed"] for answer in answers]
    assert told == [
        True, "customer_not_found", "invalid_request", "unknown_action", True, False, True, "invalid_request",
    ]  # fmt: skip
    for answer in answers:
        if "error" in answer:
            assert (answer["allowed"], answer["id"]) == (False, None)
            assert answer["error"]["type"] == f"/docs/errors#{answer['error']['code']}"


async def test_a_problem_says_what_happened_to_what_and_what_to_do(api: Api) -> None:
    for path, body in (
        ("/v1/admit", {"customer": "ada", "action": "unknown"}),
        ("/v1/holds", {"customer": "ada", "action": "one", "ttl": "60"}),
        ("/v1/holds/hld_none/release", None),
        ("/v1/customers", {"email": "ada@example.com", "external_id": "another"}),
        ("/v1/customers/ada/projects", {"name": "Second"}),
    ):
        answer = await api.post(path, body)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert 400 <= answer.status_code == problem["status"] < 500
        assert problem["type"] == f"/docs/errors#{problem['code']}"
        assert all(problem[field] for field in ("title", "detail", "fix")), problem
        assert "Traceback" not in answer.text


async def test_an_answer_says_what_is_left_of_a_rate_and_how_much_there_is(api: Api) -> None:
    for path, body in (
        ("/v1/admit", {"customer": "ada", "action": "request"}),
        ("/v1/holds", {"customer": "ada", "action": "tokens"}),
        ("/api/validate-tool-access", {"tool": "app-builder", "user_id": "ada"}),
    ):
        answer = await api.post(path, body)
        left = answer.json()["meters"]["requests"]["remaining"]
        assert answer.headers["ratelimit"].startswith(f'"requests";r={left};t=')
        assert 1 <= int(answer.headers["ratelimit"].rpartition("t=")[2]) <= 70
        assert answer.headers["ratelimit-policy"] == '"requests";q=1000;w=60'
    assert "ratelimit" not in (await api.post("/v1/admit", {"customer": "ada", "action": "one"})).headers
