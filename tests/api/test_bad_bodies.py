"""What no client should send: every endpoint answers it with an error of the client's, and the books stay as they are."""

from __future__ import annotations

from tests.api.world import Api

CALLS = (
    "/v1/admit", "/v1/admit/batch", "/v1/check", "/v1/holds", "/v1/holds/hld_x/settle", "/v1/holds/hld_x/extend",
    "/v1/admissions/adm_x/refund", "/v1/customers", "/v1/customers/ada/projects", "/v1/customers/ada/grants",
    "/billing/checkout", "/billing/portal", "/billing/setup-intent", "/billing/subscribe", "/api/validate-tool-access",
)  # fmt: skip
NOT_JSON = {
    "nothing": b"",
    "half an object": b'{"customer": "ada"',
    "invalid UTF-8": b'{"customer": "\xff\xfe"}',
    "a lone surrogate": b'{"customer": "\\ud800"}',
    "100,000 brackets": b"[" * 100_000,
    "100,000 objects": b'{"metadata":' * 100_000,
    "a number without end": b'{"amount": ' + b"9" * 100_000,
    "not a number": b'{"amount": NaN}',
    "UTF-16": '{"customer": "ada"}'.encode("utf-16"),
}


async def test_what_is_no_json_is_a_clients_error_of_every_call(api: Api) -> None:
    before = await api.entries()
    for path in CALLS:
        for what, body in NOT_JSON.items():
            answer = await api.http.post(path, content=body, headers=api.bearer | {"content-type": "application/json"})
            assert answer.status_code in (400, 422), (path, what, answer.text)
            problem = answer.json()
            assert (problem["status"], problem["code"]) == (answer.status_code, "invalid_request"), (path, what)
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem["fix"]
    assert await api.entries() == before
