"""Stripe's customers pay in one currency at a time; amounts without decimals are whole (row X12)."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.outside import Browser, ada, starter_price, subscribing


def _yen(client: stripe.StripeClient) -> stripe.Price:
    return client.v1.prices.create(
        {
            "currency": "jpy",
            "unit_amount": 1_200,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Starter"},
        }
    )


@pytest.mark.row("X12")
def test_a_running_subscription_keeps_every_other_currency_out(client: stripe.StripeClient, browser: Browser) -> None:
    customer, dollars, yen = ada(client).id, starter_price(client).id, _yen(client).id
    session = subscribing(client, customer, yen)
    assert session.url is not None
    assert "¥1,200" in browser.open(session.url).text
    browser.pay(session, "4242 4242 4242 4242")
    assert client.v1.customers.retrieve(customer).currency == "jpy"
    [invoice] = client.v1.invoices.list({"customer": customer}).data
    assert (invoice.currency, invoice.amount_paid) == ("jpy", 1_200)

    with pytest.raises(stripe.InvalidRequestError, match="You cannot combine currencies on a single customer"):
        subscribing(client, customer, dollars)
    with pytest.raises(stripe.InvalidRequestError, match="quote, or invoice item with currency jpy"):
        client.v1.subscriptions.create({"customer": customer, "items": [{"price": dollars}]})


@pytest.mark.row("X12")
def test_it_may_begin_anew_in_another_once_nothing_runs(client: stripe.StripeClient, browser: Browser) -> None:
    customer = ada(client).id
    browser.pay(subscribing(client, customer, _yen(client).id), "4242 4242 4242 4242")
    [subscription] = client.v1.subscriptions.list({"customer": customer}).data
    client.v1.subscriptions.cancel(subscription.id)
    browser.pay(subscribing(client, customer, starter_price(client).id), "4242 4242 4242 4242")
    assert client.v1.customers.retrieve(customer).currency == "usd"


@pytest.mark.row("X12")
def test_a_waiting_item_in_another_currency_counts_too(client: stripe.StripeClient) -> None:
    customer = ada(client).id
    client.v1.invoice_items.create({"customer": customer, "currency": "eur", "amount": 500})
    with pytest.raises(stripe.InvalidRequestError, match="invoice item with currency eur"):
        subscribing(client, customer, _yen(client).id)
