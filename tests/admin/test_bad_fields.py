"""What no honest form sends: NUL bytes and walls of text, in every parameter and field of every page."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from litestar.handlers import HTTPRouteHandler

import tollhouse
from tests.web.street import PASSWORD, Person, Street
from tollhouse import web
from tollhouse.admin import (
    alerts,
    beside,
    events,
    hooks,
    invoices,
    maintenance,
    moves,
    pages,
    quotes,
    reconciliation,
    security,
    unmapped,
)
from tollhouse.kernel.ids import new_id
from tollhouse.pages.visiting import SESSION_COOKIE

BAD = ("a\x00b", "x" * 5_000, "1.cus_\x00", "²")
HONEST = {
    "email": "eve@example.com", "name": "Eve", "password": PASSWORD, "present": PASSWORD, "key": "k" * 16,
    "session": new_id("ses"), "plan": "starter", "every": "month", "locale": "fr", "token": "t" * 43,
}  # fmt: skip
STAFF = (alerts, beside, events, hooks, invoices, maintenance, moves, pages, quotes, reconciliation, security, unmapped)
SHARED = "".join(path.read_text("utf-8") for path in sorted((Path(tollhouse.__file__).parent / "pages").glob("*.py")))
HANDLERS = [handler for room in (web, *STAFF) for handler in room.HANDLERS]
OFTEN = {"email", "token", "next"}


def mentioned(pattern: str, handler: HTTPRouteHandler) -> set[str]:
    """What the module of a page, and what all pages share, take out of a request by name."""
    return set(re.findall(pattern, inspect.getsource(sys.modules[handler.fn.__module__]) + SHARED))


def pages_of(method: str, pattern: str) -> dict[str, set[str]]:
    """Each path with the names that its page knows."""
    return {
        path: mentioned(pattern, handler)
        for handler in HANDLERS
        if method in handler.http_methods
        for path in sorted(handler.paths)
    }


QUERIES = pages_of("GET", r'(?:query|query_params)\.get\("(\w+)"')
FORMS = pages_of("POST", r'fields(?:\.get\(|\[)"(\w+)"')


def named(path: str, value: str) -> str:
    """The path with its parameter filled in."""
    return re.sub(r"\{\w+:str\}", quote(value, safe=""), path)


def test_these_stories_know_the_pages() -> None:
    assert {"session", "after", "search", "before", "lang"} <= set().union(*QUERIES.values())
    assert {"session", "key", "name", "token"} <= set().union(*FORMS.values())
    assert "/admin/webhooks/{event:str}" in QUERIES
    assert "/app/tools/{name:str}/end" in FORMS


@pytest.mark.parametrize("bad", BAD, ids=["nul", "long", "nul-after-an-id", "no-number"])
async def test_no_parameter_breaks_a_page(grace: Person, bad: str) -> None:
    broken = []
    for path, names in QUERIES.items():
        asked = [named(path, bad)] if "{" in path else []
        asked += [f"{named(path, 'app-builder')}?{name}={quote(bad, safe='')}" for name in sorted(names | OFTEN)]
        for address in asked:
            if (await grace.open(address)).status_code >= 500:
                broken.append(address[:80])
    assert broken == []


@pytest.mark.parametrize("bad", BAD[:2], ids=["nul", "long"])
async def test_no_field_breaks_a_form(aurion: Street, grace: Person, bad: str) -> None:
    token = grace.client.cookies[SESSION_COOKIE]
    csrf = {"csrf": aurion.house.identity.seal.form_token(token)}
    broken, statuses = [], set()
    forms = [(path, named(path, "app-builder")) for path in FORMS if path not in ("/logout", "/app/billing/portal")]
    forms += [(path, named(path, bad)) for path, _ in forms if "{" in path] + [("/logout", "/logout")]
    for path, address in forms:
        for name in sorted(FORMS[path] - {"csrf"}) if path != "/logout" else ["next"]:
            grace.client.cookies.clear()
            grace.client.cookies.set(SESSION_COOKIE, token)
            answer = await grace.client.post(address, data=HONEST | csrf | {name: bad})
            statuses.add(answer.status_code)
            if answer.status_code >= 500 and not (path == "/app/billing/checkout" and answer.status_code == 503):
                broken.append(f"{address[:60]} {name} {answer.status_code}")
    assert broken == []
    assert {303, 404} <= statuses
