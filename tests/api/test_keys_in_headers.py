"""One idempotency key is one key, whether it comes in the body or in the header."""

from __future__ import annotations

import pytest

from tests.api.world import Api

KEY = "café-✓"
CALLS = (
    ("/v1/admit", {"customer": "ada", "action": "one"}),
    ("/v1/holds", {"customer": "ada", "action": "one"}),
    ("/v1/customers/ada/grants", {"meter": "credits", "amount": 5, "reason": "sorry"}),
)


@pytest.mark.parametrize(("path", "body"), CALLS, ids=[path for path, _ in CALLS])
async def test_a_key_beyond_ascii_is_the_same_in_header_and_body(api: Api, path: str, body: dict[str, object]) -> None:
    first = await api.post(path, body | {"key": KEY})
    header = api.bearer | {"idempotency-key": KEY.encode()}
    again = await api.http.post(path, json=body, headers=header)  # type: ignore[arg-type]
    both = await api.http.post(path, json=body | {"key": KEY}, headers=header)  # type: ignore[arg-type]

    assert [answer.status_code for answer in (first, again, both)] == [200] * 3
    assert again.json()["id"] == both.json()["id"] == first.json()["id"]
    assert again.json()["replayed"] is True


@pytest.mark.parametrize(("path", "body"), CALLS, ids=[path for path, _ in CALLS])
async def test_a_header_that_is_not_utf_8_is_told_so(quiet: Api, path: str, body: dict[str, object]) -> None:
    header = quiet.bearer | {"idempotency-key": b"caf\xe9"}
    answer = await quiet.http.post(path, json=body, headers=header)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_key")
    assert "UTF-8" in answer.json()["detail"]
