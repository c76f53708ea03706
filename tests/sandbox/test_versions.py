"""The sandbox speaks Stripe's older API versions: to endpoints that were made with one, and to callers who name one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from tests.sandbox.outside import Browser, Controls, Receiver, ada, starter_price, subscribing
from tollhouse_sandbox.versions import VERSIONS

OLD = VERSIONS[:2]


def heard(receiver: Receiver, type: str) -> dict[str, Any]:
    """The newest event of this type, and what it is about."""
    events = [json.loads(each.payload) for each in receiver.heard]
    found: dict[str, Any] = next(event for event in reversed(events) if event["type"] == type)
    return found


def buy(client: stripe.StripeClient, controls: Controls, browser: Browser) -> str:
    """Ada subscribes on a Checkout page; her subscription."""
    session = subscribing(client, str(ada(client).id), starter_price(client).id)
    browser.pay(session, "4242424242424242")
    controls.settle()
    return str(client.v1.checkout.sessions.retrieve(session.id).subscription)


@pytest.mark.parametrize("version", OLD)
def test_an_endpoint_of_an_old_version_hears_in_its_shapes(
    client: stripe.StripeClient, controls: Controls, browser: Browser, receiver: Receiver, version: str
) -> None:
    client.v1.webhook_endpoints.create(
        {"url": receiver.url, "enabled_events": ["*"], "api_version": version}  # type: ignore[typeddict-item]
    )
    subscription = buy(client, controls, browser)

    invoice = heard(receiver, "invoice.paid")
    assert invoice["api_version"] == version
    about = invoice["data"]["object"]
    assert "parent" not in about
    assert (about["subscription"], about["paid"]) == (subscription, True)
    assert about["payment_intent"].startswith("pi_")
    line = about["lines"]["data"][0]
    assert "pricing" not in line
    assert (line["price"]["unit_amount"], line["type"], line["proration"]) == (900, "subscription", False)
    assert (line["subscription"], line["plan"]["amount"]) == (subscription, 900)
    told = heard(receiver, "customer.subscription.updated")["data"]["object"]
    assert told["current_period_end"] > told["current_period_start"]
    assert "current_period_end" not in told["items"]["data"][0]
    assert heard(receiver, "charge.succeeded")["data"]["object"]["invoice"] == about["id"]
    assert heard(receiver, "payment_intent.succeeded")["data"]["object"]["invoice"] == about["id"]
    product = heard(receiver, "product.created")["data"]["object"]
    assert ("features" in product) == (version == "2023-10-16")
    controls.post("clock/advance", seconds=32 * 86_400)
    controls.settle()
    renewed = [json.loads(each.payload) for each in receiver.heard]
    moved = [
        event["data"]["previous_attributes"] for event in renewed if event["type"] == "customer.subscription.updated"
    ]
    assert any(before.get("current_period_end") == told["current_period_end"] for before in moved)


@pytest.mark.parametrize("version", OLD)
def test_a_caller_who_names_an_old_version_is_answered_in_it(
    client: stripe.StripeClient, controls: Controls, browser: Browser, version: str
) -> None:
    subscription = buy(client, controls, browser)
    answer = client.raw_request("get", f"/v1/subscriptions/{subscription}", stripe_version=version).data
    assert answer["current_period_end"] > answer["current_period_start"]
    assert "current_period_end" not in answer["items"]["data"][0]
    today = client.v1.subscriptions.retrieve(subscription)
    assert today.items.data[0].current_period_end == answer["current_period_end"]
    listed = client.raw_request("get", f"/v1/invoices?subscription={subscription}", stripe_version=version).data
    assert listed["data"][0]["subscription"] == subscription


def test_another_version_is_refused_and_one_is_chosen_on_the_page(
    client: stripe.StripeClient, controls: Controls, browser: Browser, receiver: Receiver
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version: 2019-01-01"):
        client.v1.webhook_endpoints.create(
            {"url": receiver.url, "enabled_events": ["*"], "api_version": "2019-01-01"}  # type: ignore[typeddict-item]
        )
    endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    assert endpoint.id in browser.open("/deliveries").text
    browser.open(f"/endpoints/{endpoint.id}/version", {"version": "2023-10-16"})
    browser.open(f"/endpoints/{endpoint.id}/version", {"version": "none of Stripe's"})
    assert client.v1.webhook_endpoints.retrieve(endpoint.id).api_version == "2023-10-16"
    ada(client)
    controls.settle()
    assert heard(receiver, "customer.created")["api_version"] == "2023-10-16"
