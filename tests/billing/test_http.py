"""Webhooks, Checkout and the portal as they are called over HTTP, on the whole product as it is served."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import structlog

from tests.billing.world import PAYS, World
from tollhouse import presets
from tollhouse.billing import actions
from tollhouse.billing.checks import checks
from tollhouse.billing.stripe import sign
from tollhouse.bootstrap import build_application, open_house
from tollhouse.catalog import load_configuration
from tollhouse.customers.keys import create_secret_key
from tollhouse.house import House
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running

SESSION_SECRET = secrets.token_urlsafe(48)
SECRET, OLD_SECRET = "whsec_" + "n" * 32, "whsec_" + "o" * 32
AURION = Path(presets.__file__).parent / "aurion.toml"


@dataclass
class Served:
    """The product behind its HTTP entrance."""

    house: House
    client: httpx.AsyncClient
    key: str

    @property
    def now_seconds(self) -> int:
        return self.house.store.clock.now_ms() // 1000

    async def send(self, payload: bytes, header: str | None, path: str = "/webhooks/stripe") -> Any:
        headers = {"content-type": "application/json"} | ({"stripe-signature": header} if header else {})
        return await self.client.post(path, content=payload, headers=headers)

    async def ask(self, path: str, **body: object) -> Any:
        return await self.client.post(path, json=body, headers={"authorization": f"Bearer {self.key}"})

    async def customer(self, external_id: str) -> str:
        answer = await self.ask("/v1/customers", email=f"{external_id}@example.com", external_id=external_id)
        return str(answer.json()["id"])

    async def stored(self) -> int:
        async with self.house.store.reading() as tx:
            return len(await actions.list_events(tx, "pending"))


@asynccontextmanager
async def served(database_url: str, **environ: str) -> AsyncIterator[Served]:
    """AURION, served with this environment."""
    base = {"DATABASE_URL": database_url, "SESSION_SECRET": SESSION_SECRET, "ENVIRONMENT": "test"}
    async with open_house(load_configuration(AURION, base | environ)) as house:
        async with house.store.transaction() as tx:
            key = (await create_secret_key(tx, "test", house.store.clock.now_ms())).key
        await house.keys.refresh()
        transport = httpx.ASGITransport(cast(Any, build_application(house)), client=("203.0.113.7", 5000))
        async with httpx.AsyncClient(transport=transport, base_url=house.settings.url) as client:
            yield Served(house, client, key)


@pytest.fixture
async def product(schema_url: str) -> AsyncIterator[Served]:
    """AURION with the sandbox as Stripe, and two webhook secrets, as while one of them is being changed."""
    async with running(Config(port=0, smtp_port=None)) as sandbox:
        environ = {
            "STRIPE_SECRET_KEY": "sk_test_http", "STRIPE_API_BASE": sandbox.url,
            "STRIPE_WEBHOOK_SECRET": f"{SECRET},{OLD_SECRET}",
        }  # fmt: skip
        async with served(schema_url, **environ) as served_product:
            house = served_product.house
            assert house.stripe is not None
            await actions.ensure_prices(house.store, house.stripe, house.catalog)
            yield served_product


def event(identifier: str = "evt_1", customer: str = "cus_stripe") -> bytes:
    about = {"object": "invoice", "id": "in_1", "customer": customer}
    document = {"id": identifier, "object": "event", "type": "invoice.paid", "created": 1, "livemode": False}
    return json.dumps(document | {"data": {"object": about}}).encode()


@pytest.mark.row("S9", "A9")
async def test_a_signed_event_is_stored_once_and_answered(product: Served) -> None:
    header = sign(event().decode(), SECRET, product.now_seconds)
    for _ in range(2):
        answer = await product.send(event(), header)
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert await product.stored() == 1


async def test_while_a_secret_is_changed_the_old_one_still_verifies(product: Served) -> None:
    answer = await product.send(event(), sign(event().decode(), OLD_SECRET, product.now_seconds))
    assert answer.status_code == 200


async def test_further_paths_of_the_settings_receive_too(product: Served) -> None:
    answer = await product.send(event(), sign(event().decode(), SECRET, product.now_seconds), "/api/stripe-webhook")
    assert answer.status_code == 200
    assert await product.stored() == 1


@pytest.mark.row("A9")
async def test_a_signature_that_proves_nothing_is_refused_and_the_log_says_why(product: Served) -> None:
    now = product.now_seconds
    headers = [
        (sign(event().decode(), "whsec_of_another_endpoint", now), "wrong_secret"),
        (sign(event("evt_2").decode(), SECRET, now), "wrong_secret"),
        (sign(event().decode(), SECRET, now - 302), "too_old"),
        (None, "no_signature"),
        ("t=soon,v1=abc", "malformed"),
        ("v1=" + "0" * 64, "malformed"),
    ]
    for header, reason in headers:
        with structlog.testing.capture_logs() as logs:
            answer = await product.send(event(), header)

        assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
        assert reason not in answer.text
        assert [line["reason"] for line in logs if line["event"] == "webhook.refused"] == [reason]
    assert await product.stored() == 0


@pytest.mark.row("A9")
async def test_a_wrong_secret_is_told_from_a_missing_one_by_the_checks(product: Served, schema_url: str) -> None:
    def last_webhook(house: House) -> tuple[str, str, str | None]:
        found = next(c for c in checks(house.settings, house.webhooks) if c.name == "webhook_signature")
        return found.status, found.message, found.setting

    good = sign(event().decode(), SECRET, product.now_seconds)
    await product.send(event(), sign(event().decode(), "whsec_wrong", product.now_seconds))
    assert last_webhook(product.house) == (
        "failed", "webhooks come in, and STRIPE_WEBHOOK_SECRET did not sign them", "STRIPE_WEBHOOK_SECRET",
    )  # fmt: skip
    shown = (await product.client.get("/health")).json()
    assert shown["status"] == "ok"
    assert "STRIPE_WEBHOOK_SECRET did not sign them; fix: " in shown["checks"]["webhook_signature"]
    product.house.store.clock.test_offset_ms += 1
    await product.send(event(), good)
    assert last_webhook(product.house)[0] == "ok"

    async with served(schema_url) as bare:
        answer = await bare.send(event(), good)
        assert answer.status_code == 400
        assert last_webhook(bare.house)[1] == "webhooks come in, and STRIPE_WEBHOOK_SECRET is missing"
        shown = (await bare.client.get("/health")).json()["checks"]
        assert "STRIPE_WEBHOOK_SECRET is missing; fix: " in shown["webhook_signature"]


async def test_an_event_whose_name_is_no_plain_text_is_refused(product: Served) -> None:
    payload = event("evt_\0")
    answer = await product.send(payload, sign(payload.decode(), SECRET, product.now_seconds))
    assert (answer.status_code, answer.json()["code"]) == (422, "not_an_event")
    assert await product.stored() == 0


async def test_only_post_is_understood_and_large_bodies_are_refused(product: Served) -> None:
    answer = await product.client.get("/webhooks/stripe")
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    huge = b'{"id": "' + b"x" * 1_100_000 + b'"}'
    assert (await product.send(huge, sign(huge.decode(), SECRET, product.now_seconds))).status_code == 413


async def test_a_signed_body_that_is_no_event_is_refused(product: Served) -> None:
    for payload in (b"", b"[]", b"null", b'{"id": "evt_1"}', b'{"object": "v2.core.event"}', b"\xff\xfe"):
        header = sign(payload.decode("utf-8", "replace"), SECRET, product.now_seconds)
        answer = await product.send(payload, header)
        assert 400 <= answer.status_code < 500
    assert await product.stored() == 0


@pytest.mark.row("S7", "S24")
async def test_checkout_answers_with_a_page_for_the_products_own_user_id(product: Served) -> None:
    customer = await product.customer("user_123")
    answer = await product.ask("/billing/checkout", plan="starter", user_id="user_123", email="pay@example.com")

    assert answer.status_code == 200
    assert list(answer.json()) == ["url"]
    house = product.house
    assert house.stripe is not None
    world = World(house.store, house.stripe, str(house.settings.stripe.api_base), house.catalog)
    async with house.store.reading() as tx:
        link = await actions.link_of_customer(tx, customer)
    assert link is not None
    assert (await house.stripe.customer(link.id)).metadata == {"tollhouse_customer": customer}
    assert (await house.stripe.customer(link.id)).email == "pay@example.com"

    sent_to = await world.submit(answer.json()["url"], PAYS)
    await world.catch_up()
    usage = await product.client.get(f"/v1/customers/{customer}", headers={"authorization": f"Bearer {product.key}"})
    assert sent_to.startswith(house.settings.url)
    assert usage.json()["plan"] == "starter"
    assert usage.json()["meters"]["credits"]["total"] == 1_000

    again = await product.ask("/billing/checkout", plan="plus", user_id="user_123")
    assert (again.status_code, again.json()["code"]) == (409, "already_subscribed")
    assert again.json()["url"].startswith(world.sandbox_url)


@pytest.mark.row("S8")
async def test_the_portal_answers_with_a_page(product: Served) -> None:
    await product.customer("user_123")
    answer = await product.ask("/billing/portal", user_id="user_123")
    assert answer.status_code == 200
    assert answer.json()["url"].startswith(str(product.house.settings.stripe.api_base))


@pytest.mark.row("X11")
async def test_the_preset_sells_its_pack_in_its_currency(product: Served) -> None:
    await product.customer("user_123")
    answer = await product.ask("/billing/checkout", pack="recharge", user_id="user_123", currency="usd")
    assert answer.status_code == 200
    assert "/checkout/cs_test_" in answer.json()["url"]
    for body, fix in (
        ({"pack": "recharge", "currency": "eur"}, "name one of: usd"),
        ({"plan": "starter", "currency": "eur"}, "name one of: usd"),
    ):
        answer = await product.ask("/billing/checkout", user_id="user_123", **body)
        assert answer.status_code == 422
        assert answer.json()["fix"] == fix


@pytest.mark.row("U4")
async def test_a_front_end_of_ones_own_brings_a_card_and_subscribes(product: Served) -> None:
    customer = await product.customer("user_123")
    await product.customer("user_456")
    started = (await product.ask("/billing/setup-intent", user_id="user_123")).json()
    assert set(started) == {"setup_intent", "client_secret"}
    body = {"user_id": "user_123", "plan": "starter", "setup_intent": started["setup_intent"]}
    early = await product.ask("/billing/subscribe", **body)
    assert (early.status_code, early.json()["code"]) == (409, "setup_not_finished")
    house = product.house
    assert house.stripe is not None
    world = World(house.store, house.stripe, str(house.settings.stripe.api_base), house.catalog)
    await world.stripe("post", f"/v1/setup_intents/{started['setup_intent']}/confirm", payment_method="pm_card_visa")
    stolen = await product.ask("/billing/subscribe", **body | {"user_id": "user_456"})
    assert (stolen.status_code, stolen.json()["code"]) == (422, "unknown_setup_intent")

    done = await product.ask("/billing/subscribe", **body)
    assert done.status_code == 200
    assert (done.json()["status"], done.json()["client_secret"]) == ("active", None)
    seen = await product.client.get(f"/v1/customers/{customer}", headers={"authorization": f"Bearer {product.key}"})
    assert seen.json()["plan"] == "starter"


async def test_a_checkout_is_for_a_plan_or_for_a_pack(product: Served) -> None:
    await product.customer("user_123")
    for body, code in (({"plan": "starter", "pack": "small"}, "invalid_request"), ({"pack": "small"}, "unknown_pack")):
        answer = await product.ask("/billing/checkout", user_id="user_123", **body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_what_cannot_be_bought_is_refused_with_the_reason(product: Served) -> None:
    await product.customer("user_123")
    refused: list[tuple[dict[str, str], int, str]] = [
        ({"plan": "gold", "user_id": "user_123"}, 422, "unknown_plan"),
        ({"plan": "free", "user_id": "user_123"}, 422, "plan_not_for_sale"),
        ({"plan": "starter", "user_id": "user_123", "interval": "year"}, 422, "unknown_interval"),
        ({"plan": "starter", "user_id": "nobody"}, 404, "customer_not_found"),
        ({"plan": "starter", "user_id": "user_123", "email": "no address"}, 422, "invalid_email"),
        ({"plan": "starter", "user_id": "user_123", "coupon": "X"}, 422, "invalid_request"),
        ({"user_id": "user_123"}, 422, "invalid_request"),
    ]
    for body, status, code in refused:
        answer = await product.ask("/billing/checkout", **body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_nobody_buys_without_a_key_or_a_session(product: Served) -> None:
    await product.customer("user_123")
    for path in ("/billing/checkout", "/billing/portal", "/billing/setup-intent", "/billing/subscribe"):
        answer = await product.client.post(path, json={"plan": "starter", "user_id": "user_123"})
        assert answer.status_code in (401, 422)
        answer = await product.client.post(
            path, json={"user_id": "user_123"}, headers={"authorization": "Bearer th_sk_x"}
        )
        assert answer.status_code in (401, 422)


@pytest.mark.row("S23")
async def test_a_missing_stripe_key_is_named_with_its_fix(schema_url: str) -> None:
    async with served(schema_url) as bare:
        await bare.customer("user_123")
        answer = await bare.ask("/billing/checkout", plan="starter", user_id="user_123")
    assert answer.status_code == 503
    problem = answer.json()
    assert (problem["code"], problem["setting"]) == ("payments_not_configured", "STRIPE_SECRET_KEY")
    assert "STRIPE_SECRET_KEY" in problem["fix"]


@pytest.mark.row("S23")
async def test_prices_that_were_never_set_up_are_named_with_the_command(schema_url: str) -> None:
    async with running(Config(port=0, smtp_port=None)) as sandbox:
        environ = {"STRIPE_SECRET_KEY": "sk_test_http", "STRIPE_API_BASE": sandbox.url, "STRIPE_WEBHOOK_SECRET": SECRET}
        async with served(schema_url, **environ) as product:
            await product.customer("user_123")
            answer = await product.ask("/billing/checkout", plan="starter", user_id="user_123")
    assert (answer.status_code, answer.json()["fix"]) == (503, "run `tollhouse stripe setup`")


async def test_the_sixth_attempt_in_a_quarter_of_an_hour_has_to_wait(product: Served) -> None:
    await product.customer("user_123")
    statuses = []
    for _ in range(6):
        answer = await product.ask("/billing/checkout", plan="starter", user_id="user_123")
        statuses.append(answer.status_code)
    assert statuses == [200] * 5 + [429]
    assert 1 <= int(answer.headers["retry-after"]) <= 900

    product.house.store.clock.test_offset_ms += 900_001
    answer = await product.ask("/billing/checkout", plan="starter", user_id="user_123")
    assert answer.status_code == 200


@pytest.mark.row("X9")
async def test_the_lots_of_a_customer_are_read_with_what_was_paid(schema_url: str) -> None:
    async with served(schema_url) as product:
        await product.customer("42")
        paid = {"amount": 1_999, "currency": "eur"}
        granted = await product.ask(
            "/v1/customers/42/grants", meter="credits", amount=500, key="k", reason="by wire", paid=paid
        )
        bearer = {"authorization": f"Bearer {product.key}"}
        first = (await product.client.get("/v1/customers/42/lots?limit=1", headers=bearer)).json()
        [lot] = first["lots"]
        assert (lot["id"], lot["amount"], lot["remaining"], lot["reason"]) == (
            granted.json()["lot"], 500, 500, "by wire",
        )  # fmt: skip
        assert lot["value"] == {"currency": "eur", "paid": 1_999, "deferred": 1_999, "earned": 0, "refunded": 0}
        rest = (await product.client.get(f"/v1/customers/42/lots?after={first['next']}", headers=bearer)).json()
        assert ([one["value"] for one in rest["lots"]], rest["next"]) == ([None], None)
        wrong = await product.client.get("/v1/customers/42/lots?after=lot_x", headers=bearer)
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_cursor")


@pytest.mark.row("X12")
async def test_another_currency_than_that_of_the_prices_is_refused_by_name(schema_url: str) -> None:
    async with served(schema_url, STRIPE_SECRET_KEY="sk_test_x", STRIPE_API_BASE="http://127.0.0.1:9") as product:
        await product.customer("42")
        answer = await product.ask("/billing/checkout", plan="starter", user_id="42", currency="jpy")
        assert (answer.status_code, answer.json()["code"], answer.json()["allowed"]) == (422, "unknown_currency", "usd")
