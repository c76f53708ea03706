"""Pages of other origins: those that are listed may call, with their cookies; others get nothing that a browser shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.world import Api, served
from tests.support.databases import new_sqlite

APP = "https://app.example.com"
ASKED = {"access-control-request-method": "POST", "access-control-request-headers": "content-type, x-csrf-token"}


async def preflight(api: Api, origin: str, path: str) -> dict[str, str]:
    answer = await api.http.options(path, headers={"origin": origin} | ASKED)
    assert answer.status_code < 500
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


@pytest.mark.row("A10", "G10")
async def test_only_listed_origins_are_let_in(tmp_path: Path) -> None:
    async with served(tmp_path, new_sqlite(tmp_path), ALLOWED_ORIGINS=APP) as api:
        for path in ("/api/validate-tool-access", "/billing/checkout", "/v1/check"):
            told = await preflight(api, APP, path)
            assert told["access-control-allow-origin"] == APP
            assert told["access-control-allow-credentials"] == "true"
            assert "x-csrf-token" in told["access-control-allow-headers"].lower()
            for stranger in (
                "https://evil.example",
                "https://app.example.com.evil.example",
                "null",
                "http://app.example.com",
            ):
                assert "access-control-allow-origin" not in await preflight(api, stranger, path)
        listed = await api.http.get("/health", headers={"origin": APP})
        stranger_told = await api.http.get("/health", headers={"origin": "https://evil.example"})
        assert listed.headers["access-control-allow-origin"] == APP
        assert "access-control-allow-origin" not in stranger_told.headers
        assert "RateLimit" in listed.headers["access-control-expose-headers"]


@pytest.mark.row("A10")
async def test_a_session_counts_on_pages_of_listed_origins_too(tmp_path: Path) -> None:
    async with served(tmp_path, new_sqlite(tmp_path), ALLOWED_ORIGINS=APP) as api:
        _, browser = await api.sign_up("grace@example.com")
        for origin, status in ((APP, 200), ("https://evil.example", 403), (f"{APP}.evil.example", 403), ("null", 403)):
            answer = await api.http.post(
                "/api/validate-tool-access", json={"tool": "app-builder"}, headers=browser | {"origin": origin}
            )
            assert answer.status_code == status, origin


async def test_without_a_list_no_other_origin_is_let_in(quiet: Api) -> None:
    for path in ("/api/validate-tool-access", "/v1/admit", "/health"):
        assert await preflight(quiet, APP, path) == {}
        assert "access-control-allow-origin" not in (await quiet.http.get(path, headers={"origin": APP})).headers
