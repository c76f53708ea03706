"""Payments and webhooks are counted once, wherever they come from, and the health is judged over a window."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx
import pytest

from tests.billing.test_http import SECRET, Served, event, served
from tests.billing.world import FAILS_LATER, PAYS, World
from tollhouse.alerts.incidents import look, open_alert, open_alerts, write
from tollhouse.billing import actions, last_health, queries
from tollhouse.billing.counting import Counts, Kind, payments_since, read_counts
from tollhouse.billing.health import PaymentHealth, judge, read_health
from tollhouse.billing.model import Invoice
from tollhouse.billing.refused import ask_about_refused
from tollhouse.billing.stripe import sign
from tollhouse.house import House
from tollhouse.kernel.clock import DAY, HOUR, MINUTE
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.settings import MonitoringSettings
from tollhouse.store import Sql, Tx
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running

SETTINGS = MonitoringSettings(HOUR, 10, 25, 5, 15, 6 * HOUR, None, None)


async def counts(world: World, back_ms: int = HOUR) -> Counts:
    async with world.store.reading() as tx:
        return await read_counts(tx, world.store.clock.now_ms() - back_ms)


async def ask_health(product: Served) -> httpx.Response:
    """What is so now, not what was so a second ago."""
    product.house.payment_health.forget()
    return await product.client.get("/health/payments")


@pytest.mark.row("U5")
async def test_a_payment_counts_once_however_often_it_is_told(world: World) -> None:
    customer = await world.customer()
    await world.buy(customer, "starter")
    events = await world.new_events()
    await world.receive(events)
    await world.work()
    told = await counts(world)
    assert (told.payments, told.succeeded, told.webhooks, told.webhooks_failed) == (1, 1, len(events), 0)

    await world.receive(reversed(events))
    await world.work()
    async with world.store.transaction() as tx:
        assert await actions.replay(tx, events[0]["id"], world.store.clock.now_ms())
    await world.work()
    assert await counts(world) == told
    assert told.last_payment_at is not None


@pytest.mark.row("U5")
async def test_a_declined_renewal_is_told_apart_and_the_past_is_counted_in_its_own_time(world: World) -> None:
    customer = await world.customer()
    await world.buy(customer, "starter", FAILS_LATER)
    await world.catch_up()
    await world.pass_days(32)
    await world.catch_up()
    month = await counts(world, 40 * DAY)
    assert month.declined >= 1
    assert month.failed == 0
    assert (await counts(world)).succeeded <= 1  # nothing of a month ago is counted as of now


@pytest.mark.parametrize(
    ("known", "status", "attempts", "expected"),
    [
        (None, "paid", 1, [("payment_succeeded", 50, 1)]),
        (None, "open", 2, [("payment_declined", 10, 2)]),
        (("open", 1), "open", 1, []),
        (("open", 1), "open", 3, [("payment_declined", 99, 2)]),
        (("open", 2), "paid", 3, [("payment_succeeded", 50, 1)]),
        (("open", 1), "paid", 1, [("payment_succeeded", 50, 1)]),  # paid by hand: Stripe counts no further attempt
        (None, "action_required", 1, []),  # the payer has not given their word yet: neither paid nor declined
        (None, "processing", 2, [("payment_declined", 10, 1)]),
        (("action_required", 1), "paid", 1, [("payment_succeeded", 50, 1)]),
        (("action_required", 1), "open", 1, [("payment_declined", 99, 1)]),
        (("paid", 1), "paid", 1, []),
        (("open", 1), "void", 1, []),
    ],
)
def test_what_happened_to_an_invoice_is_the_difference_to_what_we_knew(
    known: tuple[str, int] | None, status: str, attempts: int, expected: list[Any]
) -> None:
    invoice = Invoice(
        "in_1", status, "subscription_cycle", None, 5, "usd", 900, 900 if status == "paid" else 0, 900, 0, attempts, (),
        paid_at=50 if status == "paid" else None, finalized_at=10,
    )  # fmt: skip
    assert list(payments_since(known, invoice, 99)) == expected


def test_nothing_paid_is_no_payment() -> None:
    free = Invoice("in_1", "paid", "subscription_create", None, 5, "usd", 0, 0, 0, 0, 0, (), paid_at=50)
    assert list(payments_since(None, free, 99)) == []


@pytest.mark.row("U6")
@pytest.mark.parametrize(
    ("found", "status"),
    [
        (Counts(), "healthy"),
        (Counts(succeeded=9, failed=1), "healthy"),  # at the threshold, not above it
        (Counts(succeeded=89, failed=11), "degraded"),
        (Counts(succeeded=75, failed=25), "degraded"),
        (Counts(succeeded=74, failed=26), "critical"),
        (Counts(webhooks=100, webhooks_failed=5), "healthy"),
        (Counts(webhooks=100, webhooks_failed=6), "degraded"),
        (Counts(webhooks=100, webhooks_failed=16), "critical"),
        (Counts(succeeded=1, declined=99), "healthy"),
        (Counts(webhooks=0, webhooks_failed=1), "critical"),
    ],
)
def test_the_health_follows_the_thresholds_and_a_declined_card_is_the_customers(found: Counts, status: str) -> None:
    assert judge(found, SETTINGS, DAY).status == status


async def test_an_event_that_fails_counts_until_it_is_handled_after_all(world: World) -> None:
    await world.buy(await world.customer(), "starter")
    events = await world.new_events()
    await world.control("faults", api_errors=[{"status": 400, "count": 1_000, "path": "/v1/invoices"}])
    await world.receive(events)
    await world.work()
    failed = (await counts(world)).webhooks_failed
    assert failed >= len(events) - 1  # one may be about no customer, and needs no look at Stripe
    world.store.clock.test_offset_ms += 60_000
    await world.work()
    assert (await counts(world)).webhooks_failed == failed  # each once

    await world.control("faults", api_errors=[])
    world.store.clock.test_offset_ms += HOUR // 2
    await world.work()
    assert (await counts(world)).webhooks_failed == 0
    assert (await counts(world)).webhooks == len(events)


@pytest.fixture
async def product(schema_url: str) -> AsyncIterator[Served]:
    """AURION with the sandbox as Stripe and one webhook secret."""
    async with running(Config(port=0, smtp_port=None)) as sandbox:
        environ = {
            "STRIPE_SECRET_KEY": "sk_test_http", "STRIPE_API_BASE": sandbox.url, "STRIPE_WEBHOOK_SECRET": SECRET,
        }  # fmt: skip
        async with served(schema_url, **environ) as product:
            house = product.house
            assert house.stripe is not None
            await actions.ensure_prices(house.store, house.stripe, house.catalog)
            yield product


@pytest.mark.row("U6")
async def test_the_page_answers_in_its_shape_and_with_its_status(product: Served) -> None:
    quiet = await ask_health(product)
    assert (quiet.status_code, quiet.json()["status"]) == (200, "healthy")
    assert list(quiet.json()) == ["status", "metrics", "rates", "lastActivity"]
    assert quiet.json()["rates"] == {"paymentFailureRate": 0.0, "webhookFailureRate": 0.0}
    assert quiet.json()["lastActivity"] == {"hasRecentActivity": False, "lastPayment": None, "lastWebhook": None}

    await product.send(event(), sign(event().decode(), SECRET, product.now_seconds))
    seen = (await ask_health(product)).json()
    assert (seen["metrics"]["webhookEvents"], seen["lastActivity"]["hasRecentActivity"]) == (1, True)
    assert seen["lastActivity"]["lastWebhook"].endswith("Z")


@pytest.mark.row("U6", "A9")
async def test_webhooks_that_a_wrong_secret_refuses_are_critical_until_they_come_rightly(product: Served) -> None:
    house = product.house
    assert house.stripe is not None
    world = World(house.store, house.stripe, str(house.settings.stripe.api_base), house.catalog)
    customer = await product.customer("user_123")
    answer = await product.ask("/billing/checkout", plan="starter", user_id="user_123")
    await world.submit(answer.json()["url"], PAYS)
    payloads = [_encoded(found) for found in await world.new_events()]
    for payload in payloads:
        refused = await product.send(payload, sign(payload.decode(), "whsec_of_another", product.now_seconds))
        assert refused.status_code == 400
    while await ask_about_refused(house.store, house.stripe):
        pass
    bad = await ask_health(product)
    assert (bad.status_code, bad.json()["status"]) == (503, "critical")
    assert bad.json()["metrics"]["failedWebhooks"] == len(payloads)
    async with house.store.reading() as tx:
        parked = await actions.list_events(tx, "parked")
    assert {
        found.error is not None and "STRIPE_WEBHOOK_SECRET did not sign them" in found.error for found in parked
    } == {True}
    assert [fact["key"] for fact in await world.facts("operator.alert")] == ["webhook_signature"] * len(payloads)

    for payload in payloads:
        assert (await product.send(payload, sign(payload.decode(), SECRET, product.now_seconds))).status_code == 200
    await world.work()
    good = await ask_health(product)
    assert (good.status_code, good.json()["metrics"]["failedWebhooks"]) == (200, 0)
    async with house.store.reading() as tx:
        subscription = await actions.subscription_of(tx, customer)
    assert subscription is not None


@pytest.mark.row("U6", "A9")
async def test_a_wrong_secret_is_over_once_an_event_is_verified_and_not_by_a_replay(product: Served) -> None:
    house, stripe = product.house, product.house.stripe
    assert stripe is not None
    world = World(house.store, stripe, str(house.settings.stripe.api_base), house.catalog)
    await product.customer("user_123")
    answer = await product.ask("/billing/checkout", plan="starter", user_id="user_123")
    await world.submit(answer.json()["url"], PAYS)
    payloads = [_encoded(found) for found in await world.new_events()]

    async def refuse_all() -> None:
        for payload in payloads:
            await product.send(payload, sign(payload.decode(), "whsec_of_another", product.now_seconds))
        while await ask_about_refused(house.store, stripe) or await _refused_waiting(house):
            pass

    async def open_keys() -> list[str]:
        now = house.store.clock.now_ms()
        async with house.store.transaction() as tx:
            await write(tx, await look(tx, None, now), now)
            return [found.key for found in await open_alerts(tx)]

    await refuse_all()
    async with house.store.transaction() as tx:
        alert = OperatorAlert("webhook_signature", "high", "Stripe's webhooks are refused", "", "")
        await open_alert(tx, alert, "fct_1", house.store.clock.now_ms())
        for found in await actions.list_events(tx, "parked"):
            await actions.replay(tx, found.id, house.store.clock.now_ms())
    await world.work()
    assert await open_keys() == ["webhook_signature"]  # all is applied, and the secret is as wrong as before
    await refuse_all()  # Stripe sends again what it has not delivered
    house.store.clock.test_offset_ms += 1_000
    assert await open_keys() == ["webhook_signature"]

    again = payloads[0]
    assert (await product.send(again, sign(again.decode(), SECRET, product.now_seconds))).status_code == 200
    assert await open_keys() == []

    house.store.clock.test_offset_ms += 61_000  # only thirty are noted a minute
    await refuse_all()
    async with house.store.transaction() as tx:
        await open_alert(tx, alert, "fct_2", house.store.clock.now_ms())
    assert await open_keys() == ["webhook_signature"]
    house.store.clock.test_offset_ms += 25 * HOUR  # nothing comes any more
    assert await open_keys() == []


async def _refused_waiting(house: House) -> bool:
    async with house.store.reading() as tx:
        return bool(await tx.fetch(Sql("select id from refused_webhook limit 1")))


async def test_a_stranger_raises_no_alarm(product: Served) -> None:
    house = product.house
    assert house.stripe is not None
    for number in range(40):
        body = event(f"evt_made_up_{number}")
        await product.send(body, sign(body.decode(), "whsec_made_up", product.now_seconds))
    assert await ask_about_refused(house.store, house.stripe) == 0
    assert (await ask_health(product)).json()["metrics"]["failedWebhooks"] == 0


@pytest.mark.row("U6")
async def test_a_page_that_cannot_be_opened_is_our_failure_and_ages_out(product: Served) -> None:
    house = product.house
    assert house.stripe is not None
    await product.customer("user_123")
    world = World(house.store, house.stripe, str(house.settings.stripe.api_base), house.catalog)
    await world.control("faults", api_errors=[{"status": 400, "count": 1_000, "path": "/v1/checkout"}])
    answer = await product.ask("/billing/checkout", plan="starter", user_id="user_123")
    assert answer.status_code >= 400
    found = await ask_health(product)
    assert (found.status_code, found.json()["metrics"]["failedPayments"]) == (503, 1)
    assert [fact["key"] for fact in await world.facts("operator.alert")] == ["payments_failing"]

    await product.ask("/billing/checkout", plan="nothing", user_id="user_123")  # the caller's mistake is none of ours
    house.store.clock.test_offset_ms += HOUR + 60_000
    later = await ask_health(product)
    assert (later.status_code, later.json()["status"], later.json()["metrics"]["failedPayments"]) == (200, "healthy", 0)


@pytest.mark.row("U5")
async def test_the_counters_survive_a_restart(product: Served, schema_url: str) -> None:
    await product.send(event(), sign(event().decode(), SECRET, product.now_seconds))
    async with served(schema_url, STRIPE_WEBHOOK_SECRET=SECRET) as again:
        assert (await ask_health(again)).json()["metrics"]["webhookEvents"] == 1


@pytest.mark.row("U6")
async def test_what_cannot_be_told_is_said_so(product: Served, schema_url: str) -> None:
    async with served(schema_url, STRIPE_MONITORING_ENABLED="false") as off:
        answer = await off.client.get("/health/payments")
    assert (answer.status_code, answer.json()["status"]) == (500, "error")
    async with served(schema_url) as broken:
        async with broken.house.store.transaction() as tx:
            await tx.execute(Sql("alter table payment_count rename to payment_count_away"))
        answer = await broken.client.get("/health/payments")
    assert (answer.status_code, answer.json()["status"]) == (500, "error")


async def test_the_health_reads_the_window_of_the_settings(world: World) -> None:
    async with world.store.reading() as tx:
        assert (await read_health(tx, SETTINGS, world.store.clock.now_ms())).window_ms == HOUR


@pytest.mark.row("U6")
async def test_however_many_ask_the_database_is_asked_once_a_second(
    product: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def counted(*given: Any) -> PaymentHealth:
        nonlocal asked
        asked += 1
        return await read_health(*given)

    monkeypatch.setattr(last_health, "read_health", counted)
    answers = await asyncio.gather(*(product.client.get("/health/payments") for _ in range(20)))
    assert ({answer.status_code for answer in answers}, asked) == ({200}, 1)
    monkeypatch.setattr(last_health, "KEPT_SECONDS", 0.0)
    product.house.payment_health.forget()
    for _ in range(2):
        await product.client.get("/health/payments")
    assert asked == 3


async def test_the_counts_of_years_are_read_by_their_key(world: World) -> None:
    assert get_args(Kind) == queries.KINDS
    now = world.store.clock.now_ms() // MINUTE * MINUTE
    async with world.store.transaction() as tx:
        for kind in ("payment_succeeded", "webhook_received"):
            await tx.execute(FILL, kind=kind, now=now)
    if world.store.dialect == "postgresql":
        async with world.store.transaction() as tx:
            await tx.execute(Sql("analyze payment_count"))
    async with world.store.reading() as tx:
        found = await read_counts(tx, now - 10 * MINUTE)
        assert (found.succeeded, found.webhooks, found.last_payment_at) == (10, 10, now - MINUTE)
        for sql, values in ((queries.COUNTS, {"since": now - HOUR}), (queries.LAST_COUNTED, {})):
            plan = await plan_of(tx, sql, **values)
            assert "Seq Scan" not in plan
            assert not re.search(r"SCAN payment_count", plan)
            assert re.search(r"kind=|pk_payment_count", plan)


FILL = Sql(
    "with recursive back(n) as (select 1 union all select n + 1 from back where n < 20000)"
    " insert into payment_count (kind, minute, number, last_at)"
    f" select :kind, :now[[::bigint]] - n * {MINUTE}, 1, :now[[::bigint]] - n * {MINUTE} from back"
)


async def plan_of(tx: Tx, sql: Sql, **values: int) -> str:
    """How the database would read it."""
    postgres = tx.dialect == "postgresql"
    rows = await tx.fetch(Sql(("explain " if postgres else "explain query plan ") + sql.text), **values)
    return "\n".join(str(row["QUERY PLAN" if postgres else "detail"]) for row in rows)


def _encoded(found: dict[str, Any]) -> bytes:
    return json.dumps(found).encode()
