"""`stripe trigger`, as the official CLI does it: its fixtures run through, and the event is about the right object."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import Controls
from tests.support.stripe_cli import EVENTS, INSTALL_SECONDS, StripeCli
from tollhouse_sandbox.server import Running

# The first of them installs the CLI.
pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 60)
FROM_CLI = "(created by Stripe CLI)"
# What the event's object must be at least.
ABOUT: dict[str, dict[str, Any]] = {
    "checkout.session.completed": {
        "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid",
        "amount_total": 3000, "url": None,
    },
    "customer.subscription.created": {"object": "subscription", "currency": "usd", "status": "incomplete"},
    "customer.subscription.updated": {"object": "subscription", "status": "active", "metadata": {"foo": "bar"}},
    "customer.subscription.deleted": {"object": "subscription", "status": "canceled"},
    "invoice.payment_succeeded": {
        "object": "invoice", "status": "paid", "amount_paid": 2000, "amount_remaining": 0, "billing_reason": "manual",
        "parent": None, "description": FROM_CLI,
    },
    "invoice.payment_failed": {
        "object": "invoice", "status": "open", "amount_paid": 0, "amount_remaining": 2000, "attempted": True,
        "next_payment_attempt": None, "description": FROM_CLI,
    },
    "payment_intent.succeeded": {
        "object": "payment_intent", "status": "succeeded", "amount_received": 2000, "description": FROM_CLI,
    },
    "payment_intent.payment_failed": {
        "object": "payment_intent", "status": "requires_payment_method", "amount_received": 0,
    },
    "setup_intent.succeeded": {"object": "setup_intent", "status": "succeeded", "description": FROM_CLI},
}  # fmt: skip


@pytest.mark.parametrize("event", EVENTS)
def test_the_official_cli_triggers(
    event: str, stripe_cli: StripeCli, sandbox: Running, client: stripe.StripeClient, controls: Controls
) -> None:
    stripe_cli.trigger(event, sandbox.url)

    answer = client.v1.events.list({"type": event}).last_response
    assert answer is not None
    subject = json.loads(answer.body)["data"][0]["data"]["object"]
    assert {name: subject[name] for name in ABOUT[event]} == ABOUT[event]
    assert problems(subject) == []
    state = controls.get("state")["objects"]
    assert subject["id"] in [kept["id"] for kept in state[subject["object"]]]


def test_the_objects_behind_an_event_belong_together(
    stripe_cli: StripeCli, sandbox: Running, client: stripe.StripeClient
) -> None:
    stripe_cli.trigger("invoice.payment_succeeded", sandbox.url)
    stripe_cli.trigger("checkout.session.completed", sandbox.url)

    invoice = client.v1.invoices.list({"expand": ["data.payments.data.payment.payment_intent"]}).data[0]
    item = client.v1.invoice_items.list({"invoice": invoice.id}).data[0]
    assert (item.amount, item.description) == (2000, FROM_CLI)
    assert invoice.lines.data[0].parent is not None
    assert invoice.lines.data[0].parent.invoice_item_details is not None
    assert invoice.lines.data[0].parent.invoice_item_details.invoice_item == item.id
    assert invoice.payments is not None
    paid = invoice.payments.data[0].payment.payment_intent
    assert isinstance(paid, stripe.PaymentIntent)
    assert (paid.status, paid.amount, paid.customer) == ("succeeded", 2000, invoice.customer)

    session = client.v1.checkout.sessions.list({"expand": ["data.payment_intent"]}).data[0]
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert session.payment_intent.shipping is not None
    assert session.payment_intent.shipping.name == "Jenny Rosen"
    assert session.customer_details is not None
    assert session.customer_details.email == "stripe@example.com"
