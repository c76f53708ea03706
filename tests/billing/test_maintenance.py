"""Maintenance: every way to begin a subscription or purchase waits, everything else goes on, and it ends by itself."""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.billing.shop import AURION
from tests.billing.test_http import SECRET, Served, event, served
from tests.billing.test_packs import SELLING
from tests.billing.world import PAYS, World, opened
from tests.cli.running import CommandLine
from tests.support.databases import new_sqlite
from tests.support.serving import SESSION_SECRET, make_secret_key, running_server
from tollhouse.billing import actions, maintenance
from tollhouse.billing.linking import payer_of
from tollhouse.billing.refreshing import refresh
from tollhouse.billing.stripe import sign
from tollhouse.billing.subscribing import start_setup, subscribe
from tollhouse.kernel.clock import HOUR, MINUTE
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import open_store
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running

KEY = "an-admin-key-of-more-than-32-characters"


@pytest.fixture
async def product(schema_url: str) -> AsyncIterator[Served]:
    """AURION with the sandbox as Stripe."""
    async with running(Config(port=0, smtp_port=None)) as sandbox:
        environ = {
            "STRIPE_SECRET_KEY": "sk_test_http", "STRIPE_API_BASE": sandbox.url, "STRIPE_WEBHOOK_SECRET": SECRET,
            "ADMIN_API_KEY": KEY,
        }  # fmt: skip
        async with served(schema_url, **environ) as served_product:
            house = served_product.house
            assert house.stripe is not None
            await actions.ensure_prices(house.store, house.stripe, house.catalog)
            yield served_product


async def switch_on(product: Served, lasts_ms: int = HOUR) -> None:
    async with product.house.store.transaction() as tx:
        now = product.house.store.clock.now_ms()
        await maintenance.switch_on(tx, by_whom="grace", reason="moving", lasts_ms=lasts_ms, now=now)


async def every_beginning(product: Served) -> list[Any]:
    """What each way to begin a subscription or purchase over HTTP answers."""
    asked = {"user_id": "ada"}
    return [
        await product.ask("/billing/checkout", plan="starter", **asked),
        await product.ask("/billing/checkout", pack="recharge", **asked),
        await product.ask("/billing/setup-intent", **asked),
        await product.ask("/billing/subscribe", plan="starter", setup_intent="seti_1", **asked),
    ]


def world_of(product: Served) -> World:
    house = product.house
    assert house.stripe is not None
    return World(house.store, house.stripe, str(house.settings.stripe.api_base), house.catalog)


@pytest.mark.row("U11")
async def test_it_has_begun_for_a_process_whose_clock_is_behind(product: Served) -> None:
    store = product.house.store
    await switch_on(product)
    async with store.transaction() as tx:
        now = store.clock.now_ms() - 5_000
        assert await maintenance.current(tx, now) is not None
        assert await maintenance.switch_off(tx, by_whom="grace", now=now) == 1
        assert await maintenance.current(tx, now) is None


@pytest.mark.row("U6", "U11")
async def test_whoever_is_turned_away_in_maintenance_is_no_failed_payment(product: Served) -> None:
    await product.customer("ada")
    await switch_on(product)
    assert {answer.status_code for answer in await every_beginning(product)} == {503}
    found = await product.client.get("/health/payments")
    assert (found.status_code, found.json()["status"]) == (200, "healthy")
    assert found.json()["metrics"]["failedPayments"] == 0
    assert await world_of(product).facts("operator.alert") == []


@pytest.mark.row("U11")
async def test_every_way_to_begin_answers_503_with_retry_after(product: Served) -> None:
    await product.customer("ada")
    await switch_on(product)
    for answer in await every_beginning(product):
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
        problem = answer.json()
        assert (problem["code"], problem["status"], problem["type"]) == ("maintenance", 503, "/docs/errors#maintenance")
        assert problem["retry_after"] == int(answer.headers["retry-after"])
        assert problem["ends_at"] in problem["detail"]


@pytest.mark.row("U11")
async def test_everything_else_works(product: Served) -> None:
    customer = await product.customer("ada")
    world = world_of(product)
    page = (await product.ask("/billing/checkout", plan="starter", user_id="ada")).json()["url"]
    await world.submit(page, PAYS)
    await switch_on(product)

    payload = event("evt_kept")
    stored = await product.send(payload, sign(payload.decode(), SECRET, product.now_seconds))
    assert stored.status_code == 200
    await world.catch_up()
    assert (await world.state(customer)).plan == "starter"
    admitted = await product.ask("/v1/admit", customer="ada", action="launch_tool_app-builder")
    assert (admitted.status_code, admitted.json()["allowed"]) == (200, True)
    assert (await product.ask("/billing/portal", user_id="ada")).status_code == 200
    assert (await product.ask("/v1/customers", email="new@example.com", external_id="new")).status_code == 201
    # What a customer cancels is cancelled.
    assert await refresh(world.till, customer)
    async with world.store.reading() as tx:
        subscription = await actions.subscription_of(tx, customer)
    assert subscription is not None
    await world.stripe("post", f"/v1/subscriptions/{subscription.id}", cancel_at_period_end=True)
    await world.catch_up()
    async with world.store.reading() as tx:
        cancelled = await actions.subscription_of(tx, customer)
    assert cancelled is not None
    assert (subscription.cancel_at, cancelled.cancel_at) == (None, subscription.period_end)


async def test_a_renewal_is_paid_in_maintenance(world: World) -> None:
    customer = await world.customer()
    await world.buy(customer, "starter")
    await world.catch_up()
    async with world.store.transaction() as tx:
        now = world.store.clock.now_ms()
        await maintenance.switch_on(tx, by_whom="grace", reason="moving", lasts_ms=40 * 24 * HOUR, now=now)
    await world.pass_days(32)
    await world.catch_up()
    async with world.store.reading() as tx:
        invoices = await actions.invoices_of(tx, customer)
    assert [invoice.status for invoice in invoices] == ["paid", "paid"]


@pytest.mark.row("U11")
async def test_nothing_is_begun_at_stripe_by_any_caller(world: World) -> None:
    customer = await world.customer()
    async with world.store.transaction() as tx:
        now = world.store.clock.now_ms()
        await maintenance.switch_on(tx, by_whom="grace", reason="moving", lasts_ms=HOUR, now=now)
    async with world.store.reading() as tx:
        payer = await payer_of(tx, customer)
    till = world.till
    for begin in (
        actions.start_checkout(till, payer, "starter"),
        actions.start_pack_checkout(till, payer, "any"),
        start_setup(till, payer),
        subscribe(till, payer, "starter", None, "seti_1"),
    ):
        with pytest.raises(Unavailable) as refused:
            await begin
        assert refused.value.code == "maintenance"
    assert await world.new_events() == []
    async with world.store.reading() as tx:
        assert await actions.link_of_customer(tx, customer) is None


async def test_a_page_that_is_being_opened_when_it_begins_is_not_opened(world: World) -> None:
    customer = await world.customer()
    payer = await world.payer(customer)
    asked = world.gateway.subscriptions

    async def meanwhile(stripe_id: str) -> Any:
        async with world.store.transaction() as tx:
            now = world.store.clock.now_ms()
            await maintenance.switch_on(tx, by_whom="grace", reason="moving", lasts_ms=HOUR, now=now)
        return await asked(stripe_id)

    world.gateway.subscriptions = meanwhile  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await actions.start_checkout(world.till, payer, "starter")
    async with world.store.reading() as tx:
        link = await actions.link_of_customer(tx, customer)
    assert link is not None
    assert await world.gateway.open_checkouts(link.id, None) == ()


async def test_a_packs_page_that_is_being_opened_when_it_begins_is_not_opened(schema_url: str) -> None:
    async with opened(schema_url, SELLING) as world:
        customer = await world.customer()
        payer = await world.payer(customer)
        asked = world.gateway.price_of_key

        async def meanwhile(lookup_key: str) -> Any:
            async with world.store.transaction() as tx:
                now = world.store.clock.now_ms()
                await maintenance.switch_on(tx, by_whom="grace", reason="moving", lasts_ms=HOUR, now=now)
            return await asked(lookup_key)

        world.gateway.price_of_key = meanwhile  # type: ignore[method-assign]
        with pytest.raises(Unavailable) as refused:
            await actions.start_pack_checkout(world.till, payer, "small")
        assert refused.value.code == "maintenance"
        async with world.store.reading() as tx:
            link = await actions.link_of_customer(tx, customer)
        assert link is not None
        assert await world.gateway.open_checkouts(link.id, None) == ()


@pytest.mark.row("U11")
@pytest.mark.timeout(120)
def test_it_ends_by_itself_on_every_process(schema_url: str, tmp_path: Path) -> None:
    """Two servers in processes of their own; what switched it on has ended long ago."""
    key = make_secret_key(schema_url)

    async def begin() -> None:
        store = await open_store(schema_url)
        async with store.transaction() as tx:
            now = store.clock.now_ms()
            await maintenance.switch_on(tx, by_whom="grace", reason="moving", lasts_ms=10_000, now=now)
        await store.close()

    environ = {"STRIPE_SECRET_KEY": "sk_test_maintenance", "STRIPE_API_BASE": "http://127.0.0.1:1"}
    with (
        running_server(schema_url, AURION, tmp_path / "one", secret_key=key, **environ) as one,
        running_server(schema_url, AURION, tmp_path / "two", secret_key=key, **environ) as two,
    ):
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(headers=headers, timeout=30) as client:
            client.post(f"{one.url}/v1/customers", json={"email": "ada@example.com", "external_id": "ada"})

            def codes() -> list[str]:
                body = {"user_id": "ada", "plan": "nonesuch"}
                return [
                    client.post(f"{server.url}/billing/checkout", json=body).json()["code"] for server in (one, two)
                ]

            assert codes() == ["unknown_plan"] * 2
            asyncio.run(begin())
            assert codes() == ["maintenance"] * 2, "at once, on both"
            time.sleep(10.2)
            assert codes() == ["unknown_plan"] * 2, "nobody has switched it off"


@pytest.mark.row("U11")
def test_it_is_switched_by_commands(tollhouse: CommandLine, schema_url: str) -> None:
    tollhouse.set(DATABASE_URL=schema_url, ENVIRONMENT="test", SESSION_SECRET=SESSION_SECRET)
    (tollhouse.directory / "tollhouse.toml").write_text(AURION)
    assert tollhouse("maintenance", "status").out.startswith("off: everything is sold")
    begun = tollhouse("maintenance", "on", "--for", "2h", "--reason", "moving the database")
    assert (begun.status, begun.out.startswith("new subscriptions are paused until 20")) == (0, True)
    state = json.loads(tollhouse("maintenance", "status", "--json").out)
    assert (state["on"], state["current"]["reason"], state["current"]["by"]) == (
        True, "moving the database", getpass.getuser(),
    )  # fmt: skip
    assert "on until" in tollhouse("maintenance", "status").out

    # Begun anew it is another time, from now on: a shorter one shortens it.
    shorter = json.loads(tollhouse("maintenance", "on", "--for", "10m", "--reason", "nearly done", "--json").out)
    assert shorter["ends_at"] < state["current"]["ends_at"]
    assert json.loads(tollhouse("maintenance", "status", "--json").out)["current"]["id"] == shorter["id"]
    assert tollhouse("maintenance", "off").out == "new subscriptions are open again\n"
    assert tollhouse("maintenance", "off").out == "nothing was paused\n"
    state = json.loads(tollhouse("maintenance", "status", "--json").out)
    assert (state["on"], [one["ended_by"] for one in state["history"]]) == (False, [getpass.getuser()] * 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--reason", "why", "--for", "soon"), "is not a duration"),
        (("--reason", "why", "--for", "10s"), "cannot last 10s"),
        (("--reason", "why", "--for", "31d"), "write a time from 1m to 30d"),
        (("--reason", "  "), "the reason is missing"),
        (("--reason", "a\nb"), "control characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_fix(
    tollhouse: CommandLine, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    url = new_sqlite(tmp_path)
    tollhouse.set(DATABASE_URL=url, ENVIRONMENT="test", SESSION_SECRET=SESSION_SECRET)
    (tollhouse.directory / "tollhouse.toml").write_text(AURION)
    ran = tollhouse("maintenance", "on", *arguments)
    assert (ran.status, said in ran.err, "fix:" in ran.err) == (1, True, True)
    assert json.loads(tollhouse("maintenance", "status", "--json").out)["history"] == []


async def test_machines_switch_it_with_the_admin_key(product: Served) -> None:
    client, path = product.client, "/v1/admin/maintenance"
    for headers in ({}, {"authorization": f"Bearer {product.key}"}, {"authorization": f"Basic {KEY}"}):
        assert (await client.get(path, headers=headers)).status_code == 401
        assert (await client.post(path, headers=headers, json={"reason": "why"})).status_code == 401
    ours = {"authorization": f"Bearer {KEY}"}
    assert (await client.get(path, headers=ours)).json() == {"on": False, "current": None, "history": []}
    begun = await client.post(path, headers=ours, json={"reason": "moving", "for": "30m"})
    assert (begun.status_code, begun.json()["by"]) == (200, "ADMIN_API_KEY")
    assert (await product.ask("/billing/setup-intent", user_id="nobody")).status_code == 404
    assert (await client.get(path, headers=ours)).json()["current"] == begun.json()
    for wrong in ({"reason": ""}, {"for": "1h"}, {"reason": "why", "for": "1y"}, {"reason": "why", "until": "noon"}):
        assert (await client.post(path, headers=ours, json=wrong)).status_code == 422
    assert (await client.delete(path, headers=ours)).json() == {"ended": 1}
    assert (await client.get(path, headers=ours)).json()["on"] is False


async def test_machines_park_roll_back_and_undo_with_the_admin_key(
    product: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, ours = "/v1/admin/stripe", {"authorization": f"Bearer {KEY}"}

    async def send(action: str, status: int, **body: object) -> Any:
        answer = await product.client.post(path + action, headers=ours, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    for action in ("/pause", "/resume", "/rollback", "/rollback/undo"):
        body = {"reason": "why"} if action == "/pause" else {"confirm": "test"}
        stranger = {"authorization": f"Bearer {product.key}"}
        assert (await product.client.post(path + action, headers=stranger, json=body)).status_code == 401
    assert (await product.client.get(path, headers=ours)).json()["rollbacks"] == []
    assert (await send("/pause", 200, reason="a closer look"))["pause"]["by"] == "ADMIN_API_KEY"
    assert (await send("/resume", 200))["pauses"][0]["proof"]["complete"]
    assert (await send("/resume", 409))["code"] == "not_paused"

    assert (await send("/rollback", 409, confirm="production"))["code"] == "not_confirmed"
    assert (await send("/rollback", 422, confirm="test", **{"for": "soon"}))["code"] == "invalid_duration"
    done = (await send("/rollback", 200, confirm="test"))["rollback"]
    assert (done["state"], done["by"]) == ("rolled_back", "ADMIN_API_KEY")
    assert [step["step"] for step in done["steps"]] == ["endpoints", "maintenance", "backup"]
    undone = await send("/rollback/undo", 200, confirm="test")
    assert (undone["rollback"], undone["rollbacks"][0]["state"]) == (None, "undone")
    assert (await send("/rollback/undo", 409, confirm="test"))["code"] == "not_rolled_back"


async def test_a_rollbacks_maintenance_stands_beside_that_of_staff(world: World) -> None:
    async with world.store.transaction() as tx:
        now = world.store.clock.now_ms()
        theirs = await maintenance.switch_on(tx, by_whom="grace", reason="a", lasts_ms=2 * HOUR, now=now)
        ours = await maintenance.switch_on(tx, by_whom="ada", reason="b", lasts_ms=HOUR, now=now, rollback="rbk_1")
        again = await maintenance.switch_on(tx, by_whom="ada", reason="b", lasts_ms=HOUR, now=now + 1, rollback="rbk_1")
        assert again == ours, "once for each roll-back"
        assert await maintenance.switch_off(tx, by_whom="ada", now=now + MINUTE, rollback="rbk_1") == 1
        assert await maintenance.current(tx, now + MINUTE) == theirs
        assert await maintenance.switch_off(tx, by_whom="ada", now=now + MINUTE, rollback="rbk_1") == 0
