"""The runbooks' own endpoints, as their pages call them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.world import CATALOGUE, Api, served


@pytest.mark.row("S6", "S10")
async def test_the_quota_is_told_exactly_and_the_last_session_is_the_last(api: Api) -> None:
    items = [{"customer": "ada", "action": "count_session"} for _ in range(95)]
    await api.post("/v1/admit/batch", {"items": items})
    usage = await api.get("/billing/usage?user_id=ada")
    assert usage.json() == {
        "plan": "free", "sessionsIncluded": 100, "sessionsUsed": 95, "sessionsRemaining": 5, "estimatedMinutes": 200,
        "minutesUsed": 0, "percentUsed": 95, "rateLimit": {"requestsPerMinute": 1000, "concurrent": 1},
    }  # fmt: skip

    last = [(await api.admit("count_session"))["allowed"] for _ in range(6)]
    assert last == [True] * 5 + [False]
    assert (await api.admit("count_session"))["reason"]["code"] == "quota_exhausted"
    usage = (await api.get(f"/billing/usage?user_id={api.customer}")).json()
    assert (usage["sessionsUsed"], usage["sessionsRemaining"], usage["percentUsed"]) == (100, 0, 100)


@pytest.mark.row("A5")
async def test_access_to_a_tool_is_debited_or_refused_with_the_reason(api: Api) -> None:
    _, browser = await api.sign_up("grace@example.com")
    answers = [
        await api.http.post(
            "/api/validate-tool-access", json={"tool": "app-builder", "key": f"click-{number}"}, headers=browser
        )
        for number in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert answers[1].json()["meters"]["credits"] == {"total": 100, "used": 100, "remaining": 0, "resets_at": None}

    refused = answers[2].json()
    assert answers[2].headers["content-type"] == "application/problem+json"
    assert refused | {"title": "", "detail": "", "meters": {}} == {
        "type": "/docs/errors#credits_exhausted", "title": "", "status": 403, "detail": "", "code": "credits_exhausted",
        "allowed": False, "id": None, "replayed": False, "meter": "credits", "needed": 50, "remaining": 0,
        "upgrade": {"plan": "starter", "url": "/pricing?plan=starter"}, "meters": {},
        "reason": {
            "code": "credits_exhausted", "meter": "credits", "needed": 50, "remaining": 0, "resets_at": None,
            "upgrade": {"plan": "starter", "url": "/pricing?plan=starter"},
        },
    }  # fmt: skip
    again = await api.http.post(
        "/api/validate-tool-access", json={"tool": "app-builder", "key": "click-0"}, headers=browser
    )
    assert again.json() == answers[0].json() | {"replayed": True}


@pytest.mark.row("A5")
async def test_a_tool_that_the_catalogue_does_not_have_is_404(api: Api) -> None:
    answer = await api.post("/api/validate-tool-access", {"tool": "time-machine", "user_id": "ada"})
    assert (answer.status_code, answer.json()["code"]) == (404, "tool_not_found")
    assert "app-builder" in answer.json()["fix"]
    assert (await api.meters())["credits"]["used"] == 0


@pytest.mark.row("A5")
async def test_access_too_often_is_429_and_says_when_to_come_again(schema_url: str, tmp_path: Path) -> None:
    slow = CATALOGUE.replace("requests = 1000", "requests = 1").replace(
        "cost = { credits = 50,", "cost = { credits = 5,"
    )
    async with served(tmp_path, schema_url, slow) as api:
        tool = {"tool": "app-builder", "user_id": "ada"}
        assert (await api.post("/api/validate-tool-access", tool)).status_code == 200
        answer = await api.post("/api/validate-tool-access", tool)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) == answer.json()["retry_after"] <= 70
        assert answer.headers["ratelimit"].startswith('"requests";r=0;t=')
        assert answer.headers["ratelimit-policy"] == '"requests";q=1;w=60'
        assert (await api.meters())["credits"]["used"] == 5


async def test_usage_of_nobody_and_of_a_catalogue_without_sessions(schema_url: str, tmp_path: Path) -> None:
    without = "\n".join(
        line.replace("sessions = 100, ", "").replace("sessions = 5000, ", "")
        for line in CATALOGUE.replace("[actions.realtime_session]\ncost = { sessions = 1, concurrent = 1 }\n", "")
        .replace("[actions.count_session]\ncost = { sessions = 1 }\n", "")
        .splitlines()
        if not line.startswith("sessions")
    )
    async with served(tmp_path, schema_url, without) as api:
        for user, code in (("nobody", (404, "customer_not_found")), ("ada", (422, "no_quota_meter"))):
            answer = await api.get(f"/billing/usage?user_id={user}")
            assert (answer.status_code, answer.json()["code"]) == code


async def test_health_says_what_serving_needs(api: Api) -> None:
    for path in ("/health", "/api/health"):
        answer = await api.http.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert answer.json().keys() == {"status", "environment", "version", "checks"}
        assert answer.json()["environment"] == "test"
        assert {name: answer.json()["checks"][name] for name in ("database", "clock")} == {
            "database": "ok",
            "clock": "ok",
        }
