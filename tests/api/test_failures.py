"""What happens when the mistake is ours: a problem without a stack trace, and a line in the log with its id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.api.world import Api
from tollhouse.admission.desk import Admission
from tollhouse.kernel.errors import InvariantBroken, Unavailable

ADMIT = {"customer": "ada", "action": "one"}


def breaking(monkeypatch: pytest.MonkeyPatch, error: Exception, broken_key: str) -> None:
    """From now on this key's admission fails in a way that nobody foresaw."""
    whole = Admission.submit

    def submit(self: Admission, operation: Any, customer: str, charge: Any, key: str | None, *rest: Any) -> Any:
        if key != broken_key:
            return whole(self, operation, customer, charge, key, *rest)
        failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        return failed

    monkeypatch.setattr(Admission, "submit", submit)


@pytest.mark.parametrize(
    ("error", "code"),
    [(RuntimeError("secret detail"), "internal_error"), (InvariantBroken("secret detail"), "invariant_broken")],
)
async def test_a_failure_of_ours_is_a_500_found_in_the_log_by_its_id(
    quiet: Api, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    breaking(monkeypatch, error, "broken")
    for path in ("/v1/admit", "/v1/holds"):
        with capture_logs() as logs:
            answer = await quiet.post(path, ADMIT | {"key": "broken"})
        assert (answer.status_code, answer.json()["code"]) == (500, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Traceback" not in answer.text
        failed = [line for line in logs if line["log_level"] == "error"]
        assert [line["id"] for line in failed] == [answer.headers["x-request-id"]]
        assert failed[0]["exc_info"] is error


async def test_one_failing_item_of_a_batch_spoils_only_itself(quiet: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(monkeypatch, RuntimeError("secret detail"), "broken")
    items = [ADMIT | {"key": "first"}, ADMIT | {"key": "broken"}, ADMIT | {"key": "last"}]
    answers = (await quiet.post("/v1/admit/batch", {"items": items})).json()["items"]
    assert [answer["allowed"] for answer in answers] == [True, False, True]
    assert answers[1]["error"]["code"] == "internal_error"
    assert (await quiet.meters())["credits"]["used"] == 2


async def test_what_may_be_tried_again_says_when(quiet: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(monkeypatch, Unavailable("the database does not answer", fix="send it again"), "broken")
    for path in ("/v1/admit", "/v1/holds"):
        answer = await quiet.post(path, ADMIT | {"key": "broken"})
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
