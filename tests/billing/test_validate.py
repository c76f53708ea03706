"""`tollhouse stripe validate`: what is wrong is told by name, each thing apart from every other, with its fix."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.billing.shop import AURION, KEY, Shop
from tests.sandbox.outside import Controls
from tollhouse.store import Sql, open_store
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running_in_thread

Named = dict[str, dict[str, Any]]


def validated(shop: Shop) -> tuple[int, Named, Named]:
    """The exit status, and the checks that failed and those that passed or warn, by the name of what was found."""
    ran = shop.command("stripe", "validate", "--json")
    document = json.loads(ran.out)
    assert document["ok"] == (ran.status == 0)
    failed = {check["code"]: check for check in document["checks"] if check["status"] == "failed"}
    for check in document["checks"]:
        assert (check["status"] == "ok") == (check["code"] == "ok") == (check["fix"] is None), check
    return ran.status, failed, {check["check"]: check for check in document["checks"] if check["status"] != "failed"}


@pytest.mark.row("U2")
def test_after_setup_everything_passes(served: Shop) -> None:
    status, failed, others = validated(served)
    assert (status, failed) == (0, {})
    assert {name.split()[0] for name in others} == {
        "key", "mode", "account", "clock", "api_version", "price", "product", "unmapped", "portal", "endpoint",
        "endpoint_events", "endpoint_version", "webhook_url", "webhook_secret", "delivery", "deliveries",
    }  # fmt: skip
    assert [check for check in others.values() if check["status"] != "ok"] == []
    ran = served.command("stripe", "validate")
    assert ran.status == 0
    assert len(ran.out.splitlines()) == len(others) + 1
    assert ran.out.endswith(f"all {len(others)} passed\n")
    stored = json.loads(served.command("stripe", "events", "--status", "pending", "--json").out)["items"]
    stored += json.loads(served.command("stripe", "events", "--status", "done", "--json").out)["items"]
    assert [event for event in stored if event["type"].startswith("tollhouse.")] == [], "the probe is kept nowhere"


@pytest.mark.row("U2")
def test_a_catalogue_that_disagrees_with_stripe(shop: Shop) -> None:
    shop.setup()
    price = shop.client.v1.prices.list({"lookup_keys": ["tollhouse_plus_month_usd"]}).data[0]
    shop.client.v1.prices.update(price.id, {"active": False})
    shop.client.v1.products.update("tollhouse_aurion_pro", {"active": False})
    shop.write(AURION.replace("amount = 900,", "amount = 1_200,"))
    status, failed, _ = validated(shop)
    assert status == 1
    differs = failed["price_differs"]
    assert (differs["check"], differs["setting"]) == ("price starter month usd", "plans.starter.prices")
    assert "is 9.00 USD a month at Stripe, and 12.00 USD a month in the catalogue" in differs["message"]
    assert "tollhouse stripe setup" in differs["fix"]
    assert failed["price_missing"]["check"] == "price plus month usd"
    assert failed["product_archived"]["check"] == "product pro"
    assert "portal_differs" in failed
    shop.setup()
    assert not {"price_differs", "price_missing", "product_archived", "portal_differs"} & validated(shop)[1].keys()


@pytest.mark.row("U2")
def test_a_price_that_the_environment_names_wrongly(shop: Shop) -> None:
    first = shop.setup()["prices"][0]["price"]
    shop.command.set(STRIPE_PRICE_STARTER="price_nowhere")
    missing = validated(shop)[1]["price_missing"]
    assert (missing["setting"], missing["message"]) == ("STRIPE_PRICE_STARTER", "Stripe has no price price_nowhere")

    shop.command.set(STRIPE_PRICE_STARTER=first)
    shop.write(AURION.replace("amount = 900,", "amount = 1_200,"))
    differs = validated(shop)[1]["price_differs"]
    assert (differs["setting"], "run `tollhouse stripe setup`" in differs["fix"]) == ("STRIPE_PRICE_STARTER", True)
    made = shop.setup()["prices"][0]["price"]
    differs = validated(shop)[1]["price_differs"]
    again = "(or run `tollhouse stripe setup --export …` again)"
    assert differs["fix"] == f"set STRIPE_PRICE_STARTER to {made} {again}"
    shop.command.set(STRIPE_PRICE_STARTER=made)
    assert "price_differs" not in validated(shop)[1]


@pytest.mark.row("U2", "U12")
def test_a_key_of_the_wrong_mode(shop: Shop) -> None:
    shop.command.set(STRIPE_SECRET_KEY="sk_live_other")
    status, failed, others = validated(shop)
    assert (status, list(failed), others) == (1, ["wrong_mode"], {})
    assert failed["wrong_mode"]["setting"] == "STRIPE_SECRET_KEY"
    assert "set STRIPE_SECRET_KEY to the test key" in failed["wrong_mode"]["fix"]
    shop.command.set(STRIPE_SECRET_KEY=KEY, PORT="eighty")
    assert validated(shop)[1]["configuration_error"]["setting"] == "PORT"


@pytest.mark.row("U2")
def test_a_key_of_another_account(shop: Shop) -> None:
    shop.setup()
    with running_in_thread(Config(port=0, smtp_port=None, account_id="acct_other")) as other:
        shop.command.set(STRIPE_API_BASE=other.url)
        status, failed, _ = validated(shop)
    assert (status, list(failed)) == (1, ["wrong_account"])
    assert "set the key of acct_1SandboxTollhouse" in failed["wrong_account"]["fix"]


@pytest.mark.row("U2")
def test_a_revoked_key_one_that_never_was_and_none(shop: Shop) -> None:
    Controls(shop.sandbox.url).post("keys/revoke", key=KEY)
    status, failed, _ = validated(shop)
    assert (status, list(failed)) == (1, ["key_revoked"])
    assert "set the key that took its place" in failed["key_revoked"]["fix"]
    with running_in_thread(Config(port=0, smtp_port=None, secret_keys=("sk_test_only",))) as strict:
        shop.command.set(STRIPE_API_BASE=strict.url)
        assert list(validated(shop)[1]) == ["key_refused"]
    assert list(validated(shop)[1]) == ["stripe_unavailable"]
    shop.command.set(STRIPE_SECRET_KEY="")
    assert list(validated(shop)[1]) == ["key_missing"]


@pytest.mark.row("U2")
def test_an_endpoint_that_is_registered_twice_not_at_all_or_disabled(served: Shop) -> None:
    endpoints = served.client.v1.webhook_endpoints
    first = endpoints.list().data[0]
    second = endpoints.create({"url": first.url, "enabled_events": ["*"]})
    failed = validated(served)[1]
    assert list(failed) == ["endpoint_twice"]
    assert f"({first.id}, {second.id})" in failed["endpoint_twice"]["message"]
    assert "delete the others" in failed["endpoint_twice"]["fix"]
    endpoints.delete(second.id)
    assert validated(served)[0] == 0

    endpoints.update(first.id, {"enabled_events": ["invoice.payment_failed"]})
    assert list(validated(served)[1]) == ["endpoint_events"]
    endpoints.update(first.id, {"disabled": True})
    assert list(validated(served)[1]) == ["endpoint_disabled"]
    served.setup()
    assert validated(served)[0] == 0

    endpoints.delete(first.id)
    assert list(validated(served)[1]) == ["endpoint_missing"]
    endpoints.create({"url": first.url, "enabled_events": ["*"], "api_version": "2023-10-16"})
    older = validated(served)[1]["endpoint_version"]
    assert "sends 2023-10-16, and 2026-10-28.endive is pinned" in older["message"]


@pytest.mark.row("U2")
def test_a_webhook_address_that_answers_404_something_else_or_nothing(shop: Shop) -> None:
    for status, name in ((404, "webhook_url_404"), (302, "webhook_url_redirects"), (503, "webhook_url_answers")):
        with answering(status) as url:
            shop.command.set(TOLLHOUSE_URL=url)
            shop.setup()
            found = validated(shop)[1][name]
        assert (found["check"], found["setting"]) == ("webhook_url", "TOLLHOUSE_URL")
        assert f"answers {status}" in found["message"]
    assert "webhook_url_unreachable" in validated(shop)[1]


@pytest.mark.row("U2")
def test_without_a_secret_no_delivery_is_said_to_have_gone_well(served: Shop) -> None:
    served.command.set(STRIPE_WEBHOOK_SECRET="")
    _, failed, others = validated(served)
    assert list(failed) == ["webhook_secret_missing"]
    assert "not tried" in others["delivery"]["message"]


@pytest.mark.row("U2")
def test_the_secret_of_another_endpoint(served: Shop) -> None:
    client = served.client
    own = client.v1.webhook_endpoints.list().data[0]
    other = client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/other", "enabled_events": ["*"]})
    assert other.secret is not None
    served.command.set(STRIPE_WEBHOOK_SECRET=other.secret)
    failed = validated(served)[1]
    assert f"STRIPE_WEBHOOK_SECRET is not the secret of {own.id}" in failed["webhook_secret_wrong"]["message"]
    assert "Signing secret" in failed["webhook_secret_wrong"]["fix"]
    assert failed["instance_secret_differs"]["check"] == "delivery"

    served.command.set(STRIPE_WEBHOOK_SECRET="")
    assert "webhook_secret_missing" in validated(served)[1]

    # An endpoint that setup did not make carries no mark: then the instance tells how Stripe's own events fared.
    client.v1.webhook_endpoints.update(own.id, {"metadata": ""})
    served.server.stop()
    served.server.environ.update(STRIPE_WEBHOOK_SECRET=other.secret)
    served.server.start()
    served.command.set(STRIPE_WEBHOOK_SECRET=other.secret)
    assert validated(served)[0] == 0
    controls = Controls(served.sandbox.url)
    controls.post("trigger", event="invoice.payment_failed", lookup_key="tollhouse_starter_month_usd")
    controls.settle()
    status, failed, others = validated(served)
    assert (status, failed["webhook_secret_wrong"]["check"]) == (1, "delivery")
    assert others["deliveries"]["code"] == "deliveries_failing"

    deadline = time.monotonic() + 30
    while "linked to no customer" not in (
        waiting := served.command("stripe", "events").out
    ):  # confirmed, then replayed
        assert time.monotonic() < deadline, waiting
        served.command("stripe", "replay", "--all")
        time.sleep(0.5)
    assert validated(served)[2]["deliveries"]["code"] == "deliveries_failing"
    asyncio.run(_settled(served.database_url))
    others = validated(served)[2]
    assert others["deliveries"]["code"] == "ok"
    assert "refused at first and applied since" in others["deliveries"]["message"]


async def _settled(database_url: str) -> None:
    """Staff have linked that customer, and all of it is applied."""
    store = await open_store(database_url)
    async with store.transaction() as tx:
        await tx.execute(Sql("update inbox set status = 'done' where status = 'parked'"))
    await store.close()


@pytest.mark.row("U2")
def test_a_clock_ten_minutes_off(shop: Shop) -> None:
    shop.setup()
    Controls(shop.sandbox.url).post("clock/advance", seconds=600)
    off = validated(shop)[1]["clock_off"]
    assert "the database's clock is 60" in off["message"] or "the database's clock is 59" in off["message"]
    assert "behind Stripe's" in off["message"]
    assert "NTP" in off["fix"]


@pytest.mark.row("A21")
def test_a_product_that_no_plan_maps_to(shop: Shop) -> None:
    shop.setup()
    month: Any = {"interval": "month"}
    price = shop.client.v1.prices.create(
        {"currency": "usd", "unit_amount": 700, "recurring": month, "product_data": {"name": "Forgotten"}}
    )
    _, failed, others = validated(shop)
    assert "product_unmapped" not in failed
    assert (others["unmapped"]["status"], others["unmapped"]["code"]) == ("warning", "product_unmapped")

    customer = shop.client.v1.customers.create(
        {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    )
    shop.client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    found = validated(shop)[1]["product_unmapped"]
    assert f"no plan maps to {price.product} (Forgotten), and {price.id} of it is subscribed to" in found["message"]
    assert f'stripe_products = ["{price.product}"]' in found["fix"]

    shop.write(AURION.replace("[plans.starter]", f'[plans.starter]\nstripe_products = ["{price.product}"]'))
    assert "product_unmapped" not in validated(shop)[1]


@pytest.mark.row("U16")
def test_another_api_version_than_the_tested_one_is_told(shop: Shop) -> None:
    shop.command.set(STRIPE_API_VERSION="2024-06-20")
    version = validated(shop)[2]["api_version"]
    assert (version["status"], version["code"], version["setting"]) == (
        "warning", "other_api_version", "STRIPE_API_VERSION",
    )  # fmt: skip
    shop.setup()
    assert shop.there()["endpoints"][0][3] == "2024-06-20"


class answering:
    """Something else, at the address where Tollhouse should be."""

    def __init__(self, status: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.send_header("location", "https://example.com/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()
