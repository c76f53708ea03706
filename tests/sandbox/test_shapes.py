"""Every object that the sandbox returns has the shape that the official SDK annotates."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.conftest import KEY
from tests.sandbox.outside import SUCCESS_URL, Browser, Controls, Receiver, ada, starter_price, subscribing
from tollhouse_sandbox.server import Running

EXPANDED = {
    "charges": ["refunds", "payment_intent"],
    "disputes": ["charge", "payment_intent"],
    "refunds": ["charge.customer", "payment_intent"],
    "checkout/sessions": ["customer", "subscription", "invoice", "line_items", "line_items.data.price.product"],
    "customers": ["subscriptions", "invoice_settings.default_payment_method"],
    "invoices": [
        "payments.data.payment.payment_intent",
        "confirmation_secret",
        "parent.subscription_details.subscription",
    ],
    "payment_intents": ["latest_charge", "customer", "payment_method"],
    "prices": ["product"],
    "subscriptions": ["latest_invoice.payments", "default_payment_method", "items.data.price.product", "customer"],
}
KINDS = (
    *("charges", "checkout/sessions", "customers", "disputes", "events", "invoice_payments", "invoices"),
    *("payment_intents", "prices", "products", "refunds", "setup_intents", "subscriptions", "webhook_endpoints"),
)


@pytest.fixture
def history(client: stripe.StripeClient, browser: Browser, controls: Controls, receiver: Receiver) -> None:
    """Most of what can happen: bought, declined, failed, authenticated, canceled, expired, paid once, set up."""
    client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    customer, price = ada(client), starter_price(client)
    bought = subscribing(client, customer.id, price.id)
    for number in ("4000000000000002", "4242424242424242"):
        browser.pay(bought, number)
    subscribing(client, ada(client).id, price.id)
    failing = subscribing(client, ada(client).id, starter_price(client, amount=2900).id)
    browser.pay(failing, "4000000000000341")
    asking = subscribing(client, ada(client).id, price.id)
    browser.pay(asking, "4000002500003155")
    controls.post("clock/advance", seconds=40 * 86_400)
    for event in (
        *("setup_intent.succeeded", "payment_intent.payment_failed", "customer.subscription.deleted"),
        *("charge.refunded", "charge.dispute.created"),
    ):
        controls.post("trigger", event=event)
    once = client.v1.prices.create({"currency": "eur", "unit_amount": 500, "product_data": {"name": "Pack"}})
    pack = client.v1.checkout.sessions.create(
        {"mode": "payment", "line_items": [{"price": once.id, "quantity": 2}], "success_url": SUCCESS_URL}
    )
    browser.pay(pack, "5555555555554444")
    client.v1.checkout.sessions.create({"mode": "setup", "currency": "usd", "success_url": SUCCESS_URL})


def _get(url: str, path: str, expand: list[str] | None = None) -> Any:
    query = urllib.parse.urlencode([("limit", "100")] + [("expand[]", f"data.{each}") for each in expand or []])
    request = urllib.request.Request(f"{url}/v1/{path}?{query}", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.mark.usefixtures("history")
def test_every_object_in_every_list_has_the_annotated_shape(sandbox: Running) -> None:
    for kind in KINDS:
        objects = _get(sandbox.url, kind, EXPANDED.get(kind))["data"]
        assert objects, f"the history made no {kind}"
        for each in objects:
            assert problems(each) == []


@pytest.mark.usefixtures("history")
def test_every_event_carries_its_subject_in_the_annotated_shape(sandbox: Running, controls: Controls) -> None:
    seen = set()
    for event in controls.get("events")["data"]:
        seen.add(event["type"])
        assert problems(event) == []
        if event["data"]["object"]["object"] != "plan":
            assert problems(event["data"]["object"]) == [], event["type"]
    assert seen >= {
        "checkout.session.completed",
        "invoice.paid",
        "invoice.payment_failed",
        "charge.failed",
        "refund.created",
    }


def test_the_rest_has_the_annotated_shape(client: stripe.StripeClient) -> None:
    customer = ada(client)
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    for each in (
        client.v1.accounts.retrieve_current(),
        client.v1.billing_portal.sessions.create({"customer": customer.id}),
        method,
    ):
        assert problems(each.to_dict()) == []


def test_the_comparison_finds_what_is_missing_unknown_or_of_another_type(client: stripe.StripeClient) -> None:
    customer = ada(client).to_dict()
    del customer["created"]
    customer.update(livemode="no", surprise=1)
    assert sorted(found.split(":")[0] for found in problems(customer)) == [
        "customer.created",
        "customer.livemode",
        "customer.surprise",
    ]
