"""Whatever the OpenAPI document allows, and whatever it forbids, is sent to a running instance on both databases.

No answer may be a 500, or one that the document does not know; and afterwards the books hold what was answered as
allowed, and nothing else.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from tests.api.world import CATALOGUE
from tests.support.books import Books, books_of
from tests.support.product import catalog_of
from tests.support.serving import RunningServer
from tollhouse.api.codes import all_codes
from tollhouse.kernel.ids import entry_id

EXAMPLES, EXAMPLES_FOR_LONG = 15, 300  # for each call, as documented and as forbidden
CHECKS: list[Any] = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]
CUSTOMERS = ("ada", "grace", "alan")
NOT_HTTP = "Invalid HTTP request received."  # said by the server's parser: a content-length that is none, say
STATUS = {code.name: code.status for code in all_codes()}
PREFIX = {"admission": "adm", "hold": "hld", "grant": "ent"}
ID = re.compile(r"\b(?:adm|hld|cus|ent)_[0-9a-z]{20,}\b")
LIKELY: dict[str, tuple[Any, ...]] = {
    "customer": CUSTOMERS, "user_id": CUSTOMERS, "reference": CUSTOMERS, "external_id": CUSTOMERS,
    "action": ("one", "tokens", "realtime_session", "count_session", "request", "launch_tool_app-builder"),
    "tool": ("app-builder",), "plan": ("starter",), "interval": ("month",), "meter": ("credits",),
    "key": tuple(f"k-{number}" for number in range(30)), "ttl": ("1s", "60s", "1h"), "reason": ("sorry",), "name": ("Second",),
    "amount": ({"credits": 0.5}, {"credits": 0.001}, {}), "paid": (None,), "metadata": (None, {"a": "b"}), "expires_at": ("2100-01-01T00:00:00Z", None),
    "email": ("ada@example.com", "someone@example.com"), "locale": ("fr", None), "limit": (1, 100),
}  # fmt: skip


class Visitor:
    """One who sends cases, with a secret key, and remembers what was answered."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {server.secret_key}"
        self.document: dict[str, Any] = requests.get(f"{server.url}/docs/openapi.json", timeout=30).json()
        self.ids: dict[str, list[str]] = {}
        self.written: set[str] = set()
        self.seen: Counter[tuple[str, int]] = Counter()
        for name in CUSTOMERS:
            made: dict[str, Any] = {"external_id": name, "email": f"{name}@example.com"}
            self._remember(self._post("/v1/customers", made))
            self._remember(self._post("/v1/admit", {"customer": name, "action": "realtime_session"}))
            top_up: dict[str, Any] = {
                "meter": "credits",
                "amount": 1_000_000,
                "key": "top-up",
                "reason": "enough for every example",
            }
            self._remember(self._post(f"/v1/customers/{name}/grants", top_up))
            self._hold(name)

    def _hold(self, customer: str = CUSTOMERS[0]) -> str:
        """A new hold; its id, or what is no id once the rate is used up."""
        answer = self._post("/v1/holds", {"customer": customer, "action": "tokens", "ttl": "1h"})
        self._remember(answer)
        return str(answer.json()["id"] or "none")

    def _post(self, path: str, body: dict[str, Any]) -> requests.Response:
        answer = self.session.post(f"{self.server.url}{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer

    def send(self, case: Case[Any]) -> None:
        """Send, hold the answer against the document, remember ids and what was allowed."""
        answer: Any = case.call(base_url=self.server.url, session=self.session, timeout=60)
        if answer.text == NOT_HTTP:
            return
        # In a batch a bad item is answered as one, and spoils only itself.
        spared = [checks.negative_data_rejection] if case.operation.path == "/v1/admit/batch" else []
        case.validate_response(answer, checks=[check for check in CHECKS if check not in spared])
        assert answer.status_code < 500 or answer.json()["code"] == "payments_not_configured", answer.text
        if answer.headers["content-type"] == "application/problem+json":
            code = answer.json()["code"]
            assert (code, answer.status_code) in {(code, STATUS[code]), ("invalid_request", 400)}
        self.seen[case.operation.label, answer.status_code] += 1
        self._remember(answer)

    def _remember(self, answer: requests.Response) -> None:
        for identifier in ID.findall(answer.text):
            kept = self.ids.setdefault(identifier[:3], [])
            if identifier not in kept:
                kept.append(identifier)
        if answer.status_code == 200:
            self.written |= set(_written(answer.json()))

    def fill(self, case: Case[Any], draw: Any) -> None:
        """Put values that mean something into all fields or half of them, so that the rules behind are reached too."""
        places: list[Any] = [case.path_parameters or {}, case.query or {}]
        for place in places:
            for name in list(place):
                fresh = name == "hold_id" and draw(st.booleans())
                place[name] = self._hold() if fresh else draw(st.sampled_from(self._likely(name)))
        body: Any = case.body
        items = body["items"] if isinstance(body, dict) and isinstance(body.get("items"), list) else [body]
        for item in items:
            if isinstance(item, dict):
                sound = draw(st.booleans())
                if sound and "tool" in item:
                    item.setdefault("user_id", CUSTOMERS[0])
                for name in sorted(item.keys() & LIKELY.keys()):
                    if sound or draw(st.booleans()):
                        likely = (0.5, 12) if (name, "meter" in item) == ("amount", True) else LIKELY[name]
                        item[name] = draw(st.sampled_from(likely))

    def _likely(self, name: str) -> tuple[Any, ...]:
        """Ids that were answered: the first ones hold slots and are open, the last ones are new."""
        prefix = {"admission_id": "adm", "hold_id": "hld", "after": "ent"}.get(name)
        if prefix is None:
            return LIKELY[name]
        known = self.ids.get(prefix, ["none"])
        return (*known[:3], *known[-3:])


def _written(answer: Any) -> Iterator[str]:
    """The ids of admissions, holds and grants that an answer says are in the book."""
    if not isinstance(answer, dict):
        return
    if answer.get("allowed") is True and answer["id"] is not None:
        yield answer["id"]
    if "lot" in answer:
        yield answer["id"]
    for item in answer.get("items") or ():
        yield from _written(item)


def _operations(document: dict[str, Any], mode: GenerationMode = GenerationMode.POSITIVE) -> list[Any]:
    loaded: Any = schemathesis.openapi.from_dict(document).get_all_operations()
    found = [one.ok() for one in loaded]
    if mode is GenerationMode.NEGATIVE:  # any text will do in a path, and nothing at all for /health
        found = [one for one in found if list(one.body) or list(one.query)]
    return sorted(found, key=lambda one: (_turn(one.path), str(one.label)))


def _turn(path: str) -> int:
    """First what makes something, last what ends it."""
    return 0 if path in ("/v1/admit", "/v1/holds") else 2 if path.endswith(("/end", "/release")) else 1


def send_all(visitor: Visitor, mode: GenerationMode, examples: int) -> None:
    """Everything that Hypothesis makes of each call of the document."""
    for operation in _operations(visitor.document, mode):

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=examples == EXAMPLES, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(mode), data=st.data())
        def send(case: Case[Any], data: st.DataObject) -> None:
            if mode is GenerationMode.POSITIVE:
                visitor.fill(case, data.draw)
            visitor.send(case)

        send()


async def entries_kept(books: Books, visitor: Visitor) -> set[str]:
    """The ids of every admission, hold and grant in the books, but for what comes with a sign-up."""
    return {
        entry_id(PREFIX[entry.kind], customer, entry.seq)
        for customer in visitor.ids["cus"]
        for entry in await books.entries(customer)
        if entry.kind in PREFIX and entry.action not in ("create_project", "sign_up_grant")
    }


def storm(server: RunningServer, examples: int) -> None:
    """Send it all, then look into the books."""
    visitor = Visitor(server)
    send_all(visitor, GenerationMode.POSITIVE, examples)
    send_all(visitor, GenerationMode.NEGATIVE, examples)

    async def look() -> tuple[set[str], list[str]]:
        async with books_of(server.database_url, catalog_of(CATALOGUE)) as books:
            return await entries_kept(books, visitor), await books.findings()

    kept, findings = asyncio.run(look())
    assert len(visitor.written) > len(CUSTOMERS)
    assert kept == visitor.written
    assert findings == []

    reached = {label for label, status in visitor.seen if status < 300}
    # Nothing is sold here, no event is signed, and the plan allows the one project that is there.
    out_of_reach = {"POST /billing/checkout", "POST /billing/portal", "POST /webhooks/stripe"}
    out_of_reach |= {"POST /billing/setup-intent", "POST /billing/subscribe"}
    out_of_reach.add("POST /v1/customers/{reference}/projects")
    assert {str(operation.label) for operation in _operations(visitor.document)} - out_of_reach - reached == set()


def test_every_answer_is_documented_and_the_books_hold_what_was_answered(server: RunningServer) -> None:
    """The same requests in every run."""
    storm(server, EXAMPLES)


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_the_same_for_long_with_other_requests_each_time(server: RunningServer) -> None:
    storm(server, EXAMPLES_FOR_LONG)
