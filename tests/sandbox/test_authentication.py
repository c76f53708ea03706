"""A renewal whose card asks for its owner: told as Stripe does, confirmed on the invoice's own page, or given up."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.outside import Browser, Controls, ada, starter_price, subscribing

ALWAYS_ASKS = "4000002760003184"
ASKS_ONCE = "4000002500003155"
MONTH = 32 * 86_400


def subscribed(client: stripe.StripeClient, browser: Browser, card: str) -> str:
    """Ada subscribes, answering the bank; the subscription's id."""
    session = subscribing(client, ada(client).id, starter_price(client).id)
    browser.pay(session, card)
    assert browser.open(f"/checkout/{session.id}/authenticate", {"answer": "complete"}).status == 303
    return str(client.v1.checkout.sessions.retrieve(session.id).subscription)


def intent_of(client: stripe.StripeClient, invoice: str) -> Any:
    expand: list[str] = ["payments.data.payment.payment_intent"]
    return client.v1.invoices.retrieve(invoice, {"expand": expand}).to_dict()["payments"]["data"][0]["payment"][
        "payment_intent"
    ]


@pytest.fixture
def waiting(client: stripe.StripeClient, controls: Controls, browser: Browser) -> stripe.Invoice:
    """The open invoice of a renewal that wants to be confirmed."""
    subscription = subscribed(client, browser, ALWAYS_ASKS)
    last = client.v1.events.list().data[0].id
    controls.post("clock/advance", seconds=MONTH)
    told = [event.type for event in reversed(client.v1.events.list({"limit": 100, "ending_before": last}).data)]
    wanted = ["payment_intent.requires_action", "invoice.payment_action_required", "invoice.payment_failed"]
    assert [name for name in told if name in wanted] == wanted
    assert told[-1] == "customer.subscription.updated"
    assert client.v1.subscriptions.retrieve(subscription).status == "past_due"
    invoice = client.v1.invoices.list({"subscription": subscription}).data[0]
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert invoice.next_payment_attempt is not None
    assert intent_of(client, invoice.id)["status"] == "requires_action"
    return invoice


def test_a_renewal_is_confirmed_on_the_invoices_page(
    client: stripe.StripeClient, browser: Browser, waiting: stripe.Invoice
) -> None:
    assert waiting.hosted_invoice_url is not None
    shown = browser.open(waiting.hosted_invoice_url).text
    bank = intent_of(client, waiting.id)["next_action"]["redirect_to_url"]["url"]
    assert f'id="confirm-payment" class="button pay" href="{bank}"' in shown

    assert browser.open(bank, {"answer": "complete"}).location == waiting.hosted_invoice_url

    assert client.v1.invoices.retrieve(waiting.id).status == "paid"
    subscription = client.v1.subscriptions.list({"customer": str(waiting.customer)}).data[0]
    assert subscription.status == "active"


def test_who_fails_to_confirm_may_pay_with_another_card(
    client: stripe.StripeClient, browser: Browser, waiting: stripe.Invoice
) -> None:
    bank = intent_of(client, waiting.id)["next_action"]["redirect_to_url"]["url"]
    browser.open(bank, {"answer": "fail"})
    assert waiting.hosted_invoice_url is not None
    shown = browser.open(waiting.hosted_invoice_url).text
    assert "confirm-payment" not in shown
    typed = {"number": "4242424242424242", "expiry": "12 / 40", "cvc": "123", "name": "Ada"}
    browser.open(waiting.hosted_invoice_url, typed)
    assert client.v1.invoices.retrieve(waiting.id).status == "paid"


def test_what_nobody_confirms_is_given_up_after_the_last_retry(
    client: stripe.StripeClient, controls: Controls, waiting: stripe.Invoice
) -> None:
    controls.post("clock/advance", seconds=16 * 86_400)
    assert client.v1.invoices.retrieve(waiting.id).status == "open"
    subscriptions = client.v1.subscriptions.list({"customer": str(waiting.customer), "status": "all"}).data
    assert [found.status for found in subscriptions] == ["canceled"]


def test_a_card_that_was_set_up_renews_by_itself(
    client: stripe.StripeClient, controls: Controls, browser: Browser
) -> None:
    subscription = subscribed(client, browser, ASKS_ONCE)
    controls.post("clock/advance", seconds=MONTH)
    assert [invoice.status for invoice in client.v1.invoices.list({"subscription": subscription})] == ["paid", "paid"]
