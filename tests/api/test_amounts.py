"""Amounts by HTTP: every digit that was sent is booked and shown, or the request is refused; none was ever a float."""

from __future__ import annotations

import pytest

from tests.api.world import Api

WRONG = (
    "0.0001", "-1", "-0.001", "1e400", "1e-400", "1e-4", "9007199254740.992", "1e99999999999", '"NaN"', '"-Infinity"', '"one"', "true", "null",
    "1." + "0" * 40 + "1", "9" * 400, "[]", "1e20",
)  # fmt: skip
RIGHT = {"1": 1, "1.0": 1, "0.5": 0.5, "1e1": 10, "12.500": 12.5, "1.25E1": 12.5, "0": 0, "-0": 0, "0.001": 0.001}


async def priced(api: Api, path: str, amount: str) -> tuple[int, str]:
    body = f'{{"customer":"ada","action":"tokens","amount":{{"credits":{amount}}}}}'
    answer = await api.http.post(path, content=body, headers=api.bearer)
    return answer.status_code, answer.text


@pytest.mark.row("X3")
async def test_an_amount_that_is_not_exact_on_its_meter_is_refused_by_every_call(api: Api) -> None:
    hold = (await api.post("/v1/holds", {"customer": "ada", "action": "tokens"})).json()["id"]
    spent = (await api.admit("tokens"))["id"]
    before = await api.entries()
    calls = {
        f"/v1/holds/{hold}/settle": '{"amount":{"credits":%s}}',
        f"/v1/admissions/{spent}/refund": '{"key":"r","reason":"sorry","amount":%s}',
        "/v1/customers/ada/grants": '{"meter":"credits","key":"g","reason":"sorry","amount":%s}',
    }
    for amount in WRONG:
        for path in ("/v1/admit", "/v1/check", "/v1/holds"):
            assert (await priced(api, path, amount))[0] == 422, (path, amount)
        for path, body in calls.items():
            if amount == "null" and "refund" in path:
                continue  # means all that is left
            answer = await api.http.post(path, content=body % amount, headers=api.bearer)
            assert answer.status_code == 422, (path, amount, answer.text)
    assert await api.entries() == before


@pytest.mark.row("X3")
async def test_an_amount_may_be_written_in_every_way_that_json_knows(api: Api) -> None:
    for written, credits in RIGHT.items():
        for path in ("/v1/check", "/v1/admit"):
            status, text = await priced(api, path, written)
            told = f'"debits":{{"credits":{credits},"requests":1}}' if credits else '"debits":{"requests":1}'
            assert (status, told in text) == (200, True), (written, text)


@pytest.mark.row("X3")
async def test_sixteen_digits_go_through_every_call_and_come_back(api: Api) -> None:
    """A float knows 9007199254640.991 and .992 as one number; beyond 2^53 it could not tell thousandths at all."""
    grant = '{"meter":"credits","key":"g","reason":"many","amount":9007199254640.991}'
    granted = await api.http.post("/v1/customers/ada/grants", content=grant, headers=api.bearer)
    assert '"amount":9007199254640.991' in granted.text
    assert '"remaining":9007199254740.991' in (await api.get("/v1/customers/ada")).text

    status, held = await priced(api, "/v1/holds", "9007199254740.991")
    assert (status, '"remaining":0' in held) == (200, True)
    identifier = held.partition('"id":"')[2].partition('"')[0]
    settle = '{"amount":{"credits":9007199254740.990}}'
    settled = await api.http.post(f"/v1/holds/{identifier}/settle", content=settle, headers=api.bearer)
    assert '"charged":{"credits":9007199254740.99' in settled.text
    assert '"remaining":0.001' in (await api.get("/v1/customers/ada")).text


@pytest.mark.row("X3")
async def test_a_thousand_thousandths_are_one_credit(api: Api) -> None:
    items = [{"customer": "ada", "action": "tokens", "amount": {"credits": 0.001}} for _ in range(999)]
    answers = (await api.post("/v1/admit/batch", {"items": items})).json()["items"]
    assert {answer["allowed"] for answer in answers} == {True}
    assert '"remaining":99.001' in (await api.get("/v1/customers/ada")).text


async def test_an_amount_is_taken_only_where_the_catalogue_lets_the_caller_price(api: Api) -> None:
    for path in ("/v1/admit", "/v1/check", "/v1/holds"):
        for amount in ({"credits": 1}, {"requests": 1}, {"unknown": 1}):
            answer = await api.post(path, {"customer": "ada", "action": "one", "amount": amount})
            assert (answer.status_code, answer.json()["code"]) == (422, "amount_not_allowed")
    assert (await api.meters())["credits"]["used"] == 0
