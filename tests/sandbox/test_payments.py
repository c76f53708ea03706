"""Payment intents, setup intents and cards through the API alone."""

from __future__ import annotations

import urllib.parse

import pytest
import stripe

from tests.sandbox.outside import Browser, ada, starter_price

BACK = "http://127.0.0.1:9/back"


def _address(url: str | None) -> str:
    assert url is not None
    return urllib.parse.urlsplit(url).path


def test_a_confirmed_intent_charges_the_card(client: stripe.StripeClient) -> None:
    customer = ada(client)
    intent = client.v1.payment_intents.create(
        {
            "amount": 1234,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": "pm_card_visa",
            "setup_future_usage": "off_session",
            "confirm": True,
            "expand": ["latest_charge"],
        }
    )
    assert (intent.status, intent.amount_received) == ("succeeded", 1234)
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert (intent.latest_charge.paid, intent.latest_charge.amount_captured) == (True, 1234)
    assert client.v1.payment_methods.list({"customer": customer.id}).data[0].id == intent.payment_method
    assert client.v1.charges.list({"payment_intent": intent.id}).data[0].id == intent.latest_charge.id


def test_a_decline_is_a_card_error_with_the_intent_inside_and_can_be_tried_again(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "eur"})
    with pytest.raises(stripe.CardError, match="insufficient funds") as caught:
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"})
    error = caught.value.error
    assert error is not None
    assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
    assert error.payment_intent is not None
    assert error.payment_intent.status == "requires_payment_method"
    assert client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError, match="could not be confirmed because it has a status of succeeded"):
        client.v1.payment_intents.confirm(intent.id)
    with pytest.raises(stripe.InvalidRequestError, match="You cannot cancel this PaymentIntent"):
        client.v1.payment_intents.cancel(intent.id)


def test_a_declined_confirmation_is_replayed_by_its_key(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "eur"})
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.confirm(
                intent.id, {"payment_method": "pm_card_chargeDeclined"}, {"idempotency_key": "pay"}
            )
    assert len(client.v1.charges.list({"payment_intent": intent.id}).data) == 1


def test_an_intent_waits_for_its_owner_and_goes_back_to_the_shop(client: stripe.StripeClient, browser: Browser) -> None:
    intent = client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "eur",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "return_url": BACK,
        }
    )
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    page = _address(intent.next_action.redirect_to_url.url)
    assert "€5.00" in browser.open(page).text
    assert browser.open(page, {"answer": "complete"}).location == BACK
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    assert browser.open(page).status == 404


def test_without_its_owner_such_a_card_is_declined(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError, match="This transaction requires authentication") as caught:
        client.v1.payment_intents.create(
            {
                "amount": 500,
                "currency": "eur",
                "payment_method": "pm_card_authenticationRequired",
                "confirm": True,
                "off_session": True,
            }
        )
    assert caught.value.code == "authentication_required"


@pytest.mark.parametrize(("answer", "status"), [("complete", "active"), ("fail", "incomplete")])
def test_a_first_invoice_that_needs_its_owner_activates_once_confirmed(
    client: stripe.StripeClient, browser: Browser, answer: str, status: str
) -> None:
    customer = client.v1.customers.create(
        {
            "payment_method": "pm_card_threeDSecure2Required",
            "invoice_settings": {"default_payment_method": "pm_card_threeDSecure2Required"},
        }
    )
    made = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": starter_price(client).id}],
            "off_session": False,
            "expand": ["latest_invoice.payments.data.payment.payment_intent"],
        }
    )
    assert made.status == "incomplete"
    invoice = made.latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert invoice.payments is not None
    intent = invoice.payments.data[0].payment.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    browser.open(f"/authenticate/{intent.id}", {"answer": answer})
    assert client.v1.subscriptions.retrieve(made.id).status == status


def test_a_setup_intent_keeps_the_card_for_later(client: stripe.StripeClient, browser: Browser) -> None:
    customer = ada(client)
    intent = client.v1.setup_intents.create(
        {
            "customer": customer.id,
            "payment_method": "pm_card_authenticationRequiredOnSetup",
            "confirm": True,
            "return_url": BACK,
        }
    )
    assert intent.status == "requires_action"
    browser.open(f"/authenticate/{intent.id}", {"answer": "fail"})
    failed = client.v1.setup_intents.retrieve(intent.id)
    assert failed.status == "requires_payment_method"
    assert failed.last_setup_error is not None
    assert failed.last_setup_error.code == "setup_intent_authentication_failure"
    client.v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_authenticationRequiredOnSetup"})
    browser.open(f"/authenticate/{intent.id}", {"answer": "complete"})
    card = client.v1.payment_methods.list({"customer": customer.id}).data[0]
    paid = client.v1.payment_intents.create(
        {
            "amount": 100,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": card.id,
            "confirm": True,
            "off_session": True,
        }
    )
    assert paid.status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError, match="has already succeeded"):
        client.v1.setup_intents.confirm(intent.id)


def test_a_card_belongs_to_one_customer_until_it_is_detached(client: stripe.StripeClient) -> None:
    customer, other = ada(client), ada(client)
    card = client.v1.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"},
            "billing_details": {"name": "Ada Lovelace"},
        }
    )
    client.v1.payment_methods.attach(card.id, {"customer": customer.id})
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        client.v1.payment_methods.attach(card.id, {"customer": other.id})
    with pytest.raises(stripe.InvalidRequestError, match="does not have a payment method with the ID"):
        client.v1.customers.update(other.id, {"invoice_settings": {"default_payment_method": card.id}})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    assert client.v1.payment_methods.detach(card.id).customer is None
    settings = client.v1.customers.retrieve(customer.id).invoice_settings
    assert settings is not None
    assert settings.default_payment_method is None


@pytest.mark.parametrize(
    ("card", "message", "code"),
    [
        ({"number": "4242424242424241"}, "Your card number is invalid", "invalid_number"),
        ({"exp_year": 2001}, "expiration year is in the past", "invalid_expiry_year"),
        ({"cvc": "1"}, "security code is incomplete", "incomplete_cvc"),
    ],
)
def test_a_card_that_cannot_be_is_refused(
    client: stripe.StripeClient, card: dict[str, object], message: str, code: str
) -> None:
    good: dict[str, object] = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    with pytest.raises(stripe.CardError, match=message) as caught:
        client.v1.payment_methods.create({"type": "card", "card": good | card})  # type: ignore[arg-type]
    assert caught.value.code == code


def test_a_customer_is_not_made_when_its_card_is_declined(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError, match="Your card was declined"):
        client.v1.customers.create({"email": "ada@example.com", "payment_method": "pm_card_chargeDeclined"})
    assert client.v1.customers.list().data == []


def test_the_number_of_a_card_is_kept_nowhere(client: stripe.StripeClient) -> None:
    card = client.v1.payment_methods.create(
        {"type": "card", "card": {"number": "5555555555554444", "exp_month": 1, "exp_year": 2040, "cvc": "987"}}
    )
    shown = str(client.v1.payment_methods.retrieve(card.id).to_dict())
    assert "4444" in shown
    assert "555555555555" not in shown
