"""The documents that a running instance serves: the calls, the errors, OpenAPI; and what every answer carries."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.api.world import Api
from tollhouse.api.codes import all_codes


class Loaded(HTMLParser):
    """Everything that a browser would fetch for a page, its anchors, and scripts and styles that stand in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(given["id"] or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        source = given.get("src") or (given.get("href") if tag == "link" else None)
        if source:
            self.fetched.append(source)
        if "style" in given or (tag in ("script", "style") and not source):
            self.inline.append(tag)


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
async def test_a_page_loads_nothing_from_another_host_and_holds_its_own_policy(quiet: Api, path: str) -> None:
    answer = await quiet.http.get(path, headers={"accept": "text/html"})
    page = Loaded(answer.text)

    assert answer.status_code == 200
    assert "script-src 'nonce-" in answer.headers["content-security-policy"]
    assert page.fetched
    assert [source for source in page.fetched if not source.startswith("/static/")] == []
    assert page.inline == []
    within = {link[1:] for link in page.links if link.startswith("#")}
    assert within - page.anchors == set()


async def test_every_call_of_the_document_has_its_place_on_the_page(quiet: Api) -> None:
    document = (await quiet.http.get("/docs/openapi.json")).json()
    page = (await quiet.http.get("/docs")).text

    calls = [(method, path) for path, item in document["paths"].items() for method in item if method in ("get", "post")]
    assert ("post", "/v1/admit") in calls
    for method, path in calls:
        assert f"{method.upper()} {path}<" in page
    for name in document["components"]["schemas"]:
        assert f'id="shape-{name}"' in page


async def test_the_document_is_where_tools_look_for_it(quiet: Api) -> None:
    first, second = [(await quiet.http.get(path)) for path in ("/docs/openapi.json", "/openapi.json")]
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert first.json()["openapi"].startswith("3.1")


async def test_the_type_of_a_problem_leads_to_its_code(quiet: Api) -> None:
    problem = (await quiet.http.post("/v1/admit")).json()
    page, _, anchor = problem["type"].partition("#")
    anchors = Loaded((await quiet.http.get(page)).text).anchors

    assert (page, anchor) == ("/docs/errors", "not_authenticated")
    assert {code.name for code in all_codes()} <= anchors


async def test_every_answer_has_its_own_request_id(quiet: Api) -> None:
    paths = ("/v1/admit", "/v1/customers/ada", "/health", "/docs", "/docs/openapi.json", "/nowhere", "/webhooks/stripe")
    answers = [
        await quiet.http.request(method, path) for path in paths for method in ("GET", "POST", "HEAD", "OPTIONS")
    ]
    ids = [answer.headers.get("x-request-id") for answer in answers]

    assert all(identifier and re.fullmatch("[0-9a-f]{16}", identifier) for identifier in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/admit", {"POST", "OPTIONS"}),
        ("/v1/admit/batch", {"POST", "OPTIONS"}),
        ("/webhooks/stripe", {"POST", "OPTIONS"}),
        ("/v1/check", {"POST", "OPTIONS"}),
        ("/v1/holds/hld_1/settle", {"POST", "OPTIONS"}),
        ("/v1/customers", {"GET", "POST", "OPTIONS"}),
        ("/health", {"GET", "OPTIONS"}),
    ],
)
async def test_an_address_says_which_methods_it_knows(quiet: Api, path: str, methods: set[str]) -> None:
    refused = await quiet.http.request("DELETE", path, headers=quiet.bearer)
    asked = await quiet.http.request("OPTIONS", path)

    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
    assert (asked.status_code, asked.content) == (204, b"")
    for answer in (refused, asked):
        assert set(answer.headers["allow"].replace(" ", "").split(",")) == methods


async def test_head_answers_as_get_without_the_body(quiet: Api) -> None:
    for path in ("/health", "/v1/customers/ada", "/docs"):
        got = await quiet.http.get(path, headers=quiet.bearer)
        head = await quiet.http.head(path, headers=quiet.bearer)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert (await quiet.http.head("/v1/admit", headers=quiet.bearer)).status_code == 405


async def test_a_browser_gets_a_page_and_a_program_a_problem(quiet: Api) -> None:
    browser = {"accept": "text/html,application/xhtml+xml"}
    page = await quiet.http.get("/nowhere", headers=browser)
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (404, "text/html")
    for path, headers in (("/nowhere", {}), ("/v1/nowhere", browser)):
        problem = await quiet.http.get(path, headers=headers)
        assert problem.status_code == 404
        assert problem.headers["content-type"] == "application/problem+json"
        assert set(problem.json()) >= {"type", "title", "status", "detail", "code"}
