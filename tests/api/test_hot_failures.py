"""The hot path as the server takes it: whatever fails inside, the answer has the form of every other."""

import httpx
import msgspec
import pytest

from tests.api.world import Api
from tollhouse.admission.desk import Admission
from tollhouse.api.deciding import hot_handlers


async def test_an_accident_inside_is_told_as_a_problem(quiet: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(Admission, "submit", broken)
    app = hot_handlers(quiet.house)["/v1/admit"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house") as client:  # type: ignore[arg-type]
        answer = await client.post(
            "/v1/admit",
            content=msgspec.json.encode({"customer": "cus_" + "0" * 26, "action": "one"}),
            headers={"Authorization": f"Bearer {quiet.key}"},
        )
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert answer.json()["code"] == "internal_error"
    assert "bug" not in answer.text
