"""The written contract and the life of a request say what the code does: files, calls and codes that they name exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.routes import ASGIRoute, HTTPRoute

from tests.api.world import CATALOGUE
from tests.support.databases import new_sqlite
from tests.support.product import configuration_of
from tests.support.tree import ROOT
from tollhouse.api.codes import all_codes
from tollhouse.bootstrap import build_application, open_house

SOURCE = ROOT / "src" / "tollhouse"
CONTRACT = (ROOT / "docs" / "contract.md").read_text("utf-8")
LIFE = (ROOT / "docs" / "life-of-a-request.md").read_text("utf-8")
CALL = re.compile(r"`(GET|POST|DELETE) (/[^`\s?]*)[^`]*`")
STAFF = "/v1/admin/"
"""What staff and their machines call: in the contract, and not in the document for clients."""
OURS = ("/v1/", "/api/", "/billing/", "/webhooks/", "/health")
Calls = set[tuple[str, str]]


def bare(path: str) -> str:
    """A path whatever its parameters are called."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_file_that_the_life_of_a_request_names_exists() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", LIFE))
    assert len(named) > 30
    assert {name for name in named if not (SOURCE / name).is_file()} == set()


@pytest.fixture
async def application(tmp_path: Path) -> Any:
    """The whole application, with everything that a setting can switch on."""
    async with open_house(configuration_of(new_sqlite(tmp_path), CATALOGUE, TEST_CLOCK="true")) as house:
        yield build_application(house)


async def documented(application: Litestar) -> Calls:
    """Method and path of every call in the OpenAPI document."""
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        paths = (await client.get("/docs/openapi.json")).json()["paths"]
    return {
        (method.upper(), bare(path)) for path, item in paths.items() for method in item if method in ("get", "post")
    }


def served(application: Litestar) -> Calls:
    """Method and path of every call that the application answers, but for pages."""
    calls: Calls = set()
    for route in application.routes:
        path = bare(route.path)
        if isinstance(route, ASGIRoute):
            calls.add(("POST", path))
        elif isinstance(route, HTTPRoute):
            calls |= {(method, path) for method in route.methods if method in ("GET", "POST", "PUT", "PATCH", "DELETE")}
    return {(method, path) for method, path in calls if path.startswith(OURS)}


async def test_what_is_served_is_documented_and_nothing_else(application: Litestar) -> None:
    staff = {(method, path) for method, path in served(application) if path.startswith(STAFF)}
    assert await documented(application) == served(application) - staff


async def test_the_written_contract_has_every_call_and_no_other(application: Litestar) -> None:
    lines = [line for line in CONTRACT.splitlines() if "*planned*" not in line]
    written = {(method, bare(path)) for line in lines for method, path in CALL.findall(line)}
    assert written == served(application)


def test_every_code_that_the_contract_names_is_in_the_reference() -> None:
    codes = {code.name for code in all_codes()}
    fields = {"resets_at", "retry_after", "external_id", "user_id", "requires_action", "past_due_at"}
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", CONTRACT))
    assert named & codes
    assert named - codes - fields == set()
