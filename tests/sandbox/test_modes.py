"""Test and live mode, the keys of each, and what tells accounts and clocks apart."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
import stripe

from tests.sandbox.conftest import KEY
from tests.sandbox.outside import Controls
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import Running, running_in_thread

LIVE_KEY = "sk_live_sandbox"


@pytest.fixture
def live() -> Iterator[Running]:
    """A sandbox in live mode, of another account."""
    config = Config(port=0, smtp_port=None, mode="live", account_id="acct_live", account_name="The live one")
    with running_in_thread(config) as running:
        yield running


def client_of(sandbox: Running, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": sandbox.url}, max_network_retries=0)


def test_each_mode_accepts_its_own_keys_only(sandbox: Running, live: Running) -> None:
    for here, key in ((sandbox, LIVE_KEY), (live, KEY), (live, "rk_test_x"), (live, "pk_live_x")):
        with pytest.raises(stripe.AuthenticationError, match="Invalid API Key provided"):
            client_of(here, key).v1.accounts.retrieve_current()
    assert client_of(live, "rk_live_x").v1.accounts.retrieve_current().id == "acct_live"


def test_everything_in_live_mode_says_so(live: Running) -> None:
    client = client_of(live, LIVE_KEY)
    price = client.v1.prices.create(
        {"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}, "product_data": {"name": "Starter"}}
    )
    endpoint = client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/webhooks", "enabled_events": ["*"]})
    fired = Controls(live.url).post("trigger", event="checkout.session.completed", price=price.id)
    events = [client.v1.events.retrieve(name) for name in fired["ids"]]
    assert {price.livemode, endpoint.livemode, *(event.livemode for event in events)} == {True}
    assert len(events) > 3


def test_a_revoked_key_is_told_apart_from_one_that_never_was(
    client: stripe.StripeClient, controls: Controls, sandbox: Running
) -> None:
    assert client.v1.products.list().data == []
    assert controls.post("keys/revoke", key=KEY) == {"revoked": 1}
    with pytest.raises(stripe.AuthenticationError, match=r"Expired API Key provided: sk_test_\*+dbox") as caught:
        client.v1.products.list()
    assert caught.value.error is not None
    assert (caught.value.http_status, caught.value.error.code) == (401, "api_key_expired")
    assert client_of(sandbox, KEY + "2").v1.products.list().data == []
    assert "error" in controls.post("keys/revoke")


def test_every_answer_is_dated_by_the_sandboxs_clock(client: stripe.StripeClient, controls: Controls) -> None:
    controls.post("clock/advance", seconds=600)
    answer = client.raw_request("get", "/v1/account")
    assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - controls.get("clock")["now"]) <= 2


def test_the_portals_products_are_shown_to_those_who_ask(client: stripe.StripeClient) -> None:
    product = client.v1.products.create({"name": "Starter"})
    price = client.v1.prices.create(
        {"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}, "product": product.id}
    )
    update = {"enabled": True, "default_allowed_updates": ["price"]}
    update["products"] = [{"product": product.id, "prices": [price.id]}]
    path = "features.subscription_update.products"
    service = client.v1.billing_portal.configurations
    made = service.create({"features": {"subscription_update": update}, "expand": [path]})  # type: ignore[typeddict-item]
    products = made.features.subscription_update.products
    assert products is not None
    assert [(found.product, found.prices) for found in products] == [(product.id, [price.id])]
    assert "products" not in service.retrieve(made.id).features.subscription_update
    listed = service.list({"active": True, "expand": ["data." + path]}).data
    assert [len(found.features.subscription_update.products or []) for found in listed] == [
        0,
        1,
    ]  # the default one, then ours
