"""Who calls, who is meant, and what floods of wrong credentials meet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import Api
from tollhouse.customers.keys import revoke_secret_key
from tollhouse.house import WRONG_CREDENTIALS_A_MINUTE

SERVER_ONLY = (
    ("POST", "/v1/admit"), ("POST", "/v1/admit/batch"), ("POST", "/v1/check"), ("POST", "/v1/holds"),
    ("POST", "/v1/holds/hld_1/settle"), ("POST", "/v1/holds/hld_1/extend"), ("POST", "/v1/holds/hld_1/release"),
    ("POST", "/v1/admissions/adm_1/heartbeat"), ("POST", "/v1/admissions/adm_1/end"),
    ("POST", "/v1/admissions/adm_1/refund"), ("POST", "/v1/customers"), ("GET", "/v1/customers/ada"),
    ("GET", "/v1/customers/ada/entries"), ("GET", "/v1/customers/ada/projects"), ("POST", "/v1/customers/ada/projects"),
    ("POST", "/v1/customers/ada/grants"), ("GET", "/v1/catalog"),
)  # fmt: skip
WRONG = ("", "Bearer", "Bearer ", "Bearer th_sk_unknown", "Basic dXNlcjpwYXNz", "th_sk_unknown", "Bearer \xff\x80")


async def test_nobody_but_a_server_with_its_key_is_answered(api: Api) -> None:
    signed, browser = await api.sign_up("grace@example.com")
    for number, (method, path) in enumerate(SERVER_ONLY):
        wrong = {"authorization": WRONG[number % len(WRONG)].encode("latin-1")}
        strangers: tuple[Any, ...] = ({}, wrong, browser)
        for headers in strangers:
            answer = await api.http.request(method, path, headers=headers, json={})
            assert (answer.status_code, answer.json()["code"]) in (
                (401, "not_authenticated"),
                (429, "too_many_attempts"),
            ), (method, path)
    for customer in (signed.customer, api.customer):
        assert {meter["used"] for name, meter in (await api.meters(customer)).items() if name != "projects"} == {0}


async def test_a_key_that_was_revoked_is_a_strangers(api: Api) -> None:
    async with api.house.store.transaction() as tx:
        key = api.house.keys.find(api.key.encode())
        assert key is not None
        await revoke_secret_key(tx, key.id, api.house.store.clock.now_ms())
    await api.house.keys.refresh()
    for answer in (
        await api.post("/v1/admit", {"customer": "ada", "action": "one"}),
        await api.get("/v1/customers/ada"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.row("X2")
async def test_each_call_takes_every_name_of_a_customer(api: Api) -> None:
    signed, _ = await api.sign_up("grace@example.com")
    await api.post("/v1/customers", {"external_id": "grace/1", "email": "grace2@example.com"})
    assert signed.customer is not None
    for reference in (api.customer, "ada", signed.customer, signed.user.id):
        body = {"customer": reference, "action": "one"}
        assert (await api.post("/v1/admit", body)).json()["allowed"] is True
        assert (await api.post("/v1/admit/batch", {"items": [body]})).json()["items"][0]["allowed"] is True
        assert (await api.post("/v1/check", body)).json()["allowed"] is True
        assert (await api.post("/v1/holds", body)).json()["allowed"] is True
        assert (await api.get(f"/billing/usage?user_id={reference}")).status_code == 200
        assert (await api.get(f"/v1/customers/{reference}")).json()["meters"]["credits"]["used"] in (3, 6)
    assert (await api.admit("one", "grace/1"))["allowed"] is True
    for nobody in ("cus_01jd0000000000000000000000", "usr_01jd0000000000000000000000", "unknown", "cus_", "a\x00b"):
        for path in ("/v1/admit", "/v1/check", "/v1/holds"):
            answer = await api.post(path, {"customer": nobody, "action": "one"})
            assert (answer.status_code, answer.json()["code"]) == (404, "customer_not_found"), (path, nobody)


@pytest.mark.row("X1")
async def test_a_user_acts_for_itself_with_the_form_token_of_its_page(api: Api) -> None:
    signed, browser = await api.sign_up("grace@example.com")
    tool = {"tool": "app-builder"}

    assert (await api.http.get("/billing/usage", headers=browser)).json()["plan"] == "free"
    assert (await api.http.post("/api/validate-tool-access", json=tool, headers=browser)).json()["allowed"] is True
    named = tool | {"user_id": signed.user.id}
    assert (await api.http.post("/api/validate-tool-access", json=named, headers=browser)).status_code == 200

    for headers, code in (
        ({"cookie": browser["cookie"]}, "form_expired"),
        (browser | {"x-csrf-token": "x"}, "form_expired"),
        (browser | {"origin": "https://elsewhere.example"}, "form_expired"),
    ):
        answer = await api.http.post("/api/validate-tool-access", json=tool, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    other = await api.http.post("/api/validate-tool-access", json=tool | {"user_id": "ada"}, headers=browser)
    usage = await api.http.get("/billing/usage?user_id=ada", headers=browser)
    assert [(answer.status_code, answer.json()["code"]) for answer in (other, usage)] == [
        (403, "not_your_customer")
    ] * 2
    assert (await api.meters(signed.customer))["credits"]["used"] == 100
    assert (await api.meters())["credits"]["used"] == 0


async def test_a_server_has_to_say_for_whom_it_calls(api: Api) -> None:
    for answer in (
        await api.post("/api/validate-tool-access", {"tool": "app-builder"}),
        await api.get("/billing/usage"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "user_required")


@pytest.mark.row("A10")
async def test_a_flood_of_wrong_keys_waits_and_a_good_key_never_does(api: Api) -> None:
    wrong = {"authorization": "Bearer th_sk_wrong"}
    answers = [await api.http.post("/v1/admit", headers=wrong) for _ in range(WRONG_CREDENTIALS_A_MINUTE + 5)]

    assert [answer.status_code for answer in answers] == [401] * WRONG_CREDENTIALS_A_MINUTE + [429] * 5
    for answer in (answers[-1], await api.http.get("/v1/customers/ada", headers=wrong)):
        assert answer.json()["code"] == "too_many_attempts"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.json()["retry_after"] == int(answer.headers["retry-after"])
    assert (await api.admit("one"))["allowed"] is True
    assert (await api.get("/v1/customers/ada")).status_code == 200


@pytest.mark.row("A10")
async def test_a_flood_of_made_up_sessions_does_not_reach_the_database(api: Api) -> None:
    _, browser = await api.sign_up("grace@example.com")
    answers = [
        await api.http.get("/billing/usage", headers={"cookie": f"th_session=made-up-{number}"})
        for number in range(WRONG_CREDENTIALS_A_MINUTE + 5)
    ]
    assert [answer.status_code for answer in answers] == [401] * WRONG_CREDENTIALS_A_MINUTE + [429] * 5

    api.house.store.clock.test_offset_ms += 2 * 60_000
    for _ in range(WRONG_CREDENTIALS_A_MINUTE + 5):
        assert (await api.http.get("/billing/usage", headers=browser)).status_code == 200
