"""Paying on the hosted Checkout page, with every documented test card."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.outside import CANCEL_URL, SUCCESS_URL, Browser, Controls, ada, starter_price, subscribing


@pytest.fixture
def session(client: stripe.StripeClient) -> stripe.checkout.Session:
    """Ada is about to subscribe to Starter."""
    return subscribing(client, ada(client).id, starter_price(client).id)


def _types(client: stripe.StripeClient, *, since: str | None = None) -> list[str]:
    events = client.v1.events.list({"limit": 100, **({"ending_before": since} if since else {})}).data
    return [event.type for event in reversed(events)]


def test_the_page_shows_what_is_bought_and_a_labelled_form(session: stripe.checkout.Session, browser: Browser) -> None:
    assert session.url is not None
    page = browser.open(session.url)
    assert page.status == 200
    assert "$9.00" in page.text
    assert "Starter" in page.text
    assert 'value="ada@example.com"' in page.text
    assert f'href="{CANCEL_URL}"' in page.text
    for field in ("email", "card-number", "card-expiry", "card-cvc", "cardholder-name"):
        assert f'for="{field}"' in page.text
        assert f'id="{field}"' in page.text
    assert 'id="pay"' in page.text
    assert "<script" not in page.text


def test_who_pays_and_closes_the_tab_never_comes_back_to_the_shop(
    client: stripe.StripeClient, session: stripe.checkout.Session, browser: Browser
) -> None:
    assert session.url is not None
    assert 'name="answer" value="stay"' in browser.open(session.url).text
    refused = browser.pay(session, "4000 0000 0000 0002", answer="stay")
    assert (refused.status, "Your card was declined." in refused.text) == (402, True)
    page = browser.pay(session, "4242 4242 4242 4242", answer="stay")
    assert (page.status, page.location) == (200, None)
    assert "<h1>Paid</h1>" in page.text
    assert "The shop was not told by your browser." in page.text
    assert SUCCESS_URL.split("?")[0] not in page.text
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert "checkout.session.completed" in _types(client)


@pytest.mark.parametrize("answers", [("stay", "pay"), ("pay", "stay")])
def test_the_button_that_was_pressed_last_counts_and_is_kept_while_the_bank_asks(
    session: stripe.checkout.Session, browser: Browser, answers: tuple[str, str]
) -> None:
    browser.pay(session, "4000 0000 0000 0002", answer=answers[0])
    asked = browser.pay(session, "4000 0025 0000 3155", answer=answers[1])
    assert (asked.status, asked.location) == (303, f"/checkout/{session.id}/authenticate")
    done = browser.open(str(asked.location), {"answer": "complete"})
    stayed = (200, None), (303, SUCCESS_URL.replace("{CHECKOUT_SESSION_ID}", session.id))
    assert (done.status, done.location) == stayed[answers[1] == "pay"]


def test_a_good_card_subscribes_and_returns_to_the_shop(
    client: stripe.StripeClient, session: stripe.checkout.Session, browser: Browser
) -> None:
    page = browser.pay(session, "4242 4242 4242 4242")
    assert (page.status, page.location) == (303, SUCCESS_URL.replace("{CHECKOUT_SESSION_ID}", session.id))
    paid = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["subscription", "invoice.payments", "line_items"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    subscription, invoice = paid.subscription, paid.invoice
    assert isinstance(subscription, stripe.Subscription)
    assert isinstance(invoice, stripe.Invoice)
    assert subscription.status == "active"
    assert subscription.to_dict()["metadata"] == {"plan": "starter"}
    item = subscription["items"].data[0]
    line = invoice.lines.data[0]
    assert (line.period.start, line.period.end) == (item.current_period_start, item.current_period_end)
    assert line.parent is not None
    assert line.parent.subscription_item_details is not None
    assert line.parent.subscription_item_details.subscription_item == item.id
    assert line.pricing is not None
    assert line.pricing.price_details is not None
    assert line.pricing.price_details.price == item.price.id
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 900, "subscription_create")
    assert invoice.payments is not None
    assert invoice.payments.data[0].status == "paid"
    assert subscription.default_payment_method is not None
    method = client.v1.payment_methods.retrieve(str(subscription.default_payment_method))
    assert method.card is not None
    assert (method.customer, method.card.last4) == (paid.customer, "4242")


def test_a_purchase_is_told_in_stripes_usual_order(
    client: stripe.StripeClient, session: stripe.checkout.Session, browser: Browser
) -> None:
    last = client.v1.events.list().data[0].id
    browser.pay(session, "4242424242424242")
    assert _types(client, since=last) == [
        "payment_method.attached",
        "invoice.created",
        "customer.subscription.created",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
        "checkout.session.completed",
    ]
    created = client.v1.events.list({"type": "customer.subscription.created"}).data[0]
    assert created.data.object["status"] == "incomplete"
    updated = client.v1.events.list({"type": "customer.subscription.updated"}).data[0]
    assert updated.data.object["status"] == "active"
    assert updated.data.to_dict()["previous_attributes"]["status"] == "incomplete"


@pytest.mark.parametrize(
    ("number", "message", "decline_code"),
    [
        ("4000000000000002", "Your card was declined.", "generic_decline"),
        ("4000000000009995", "Your card has insufficient funds.", "insufficient_funds"),
        ("4000000000000069", "Your card has expired.", None),
        ("4000000000000127", "Your card&#39;s security code is incorrect.", None),
    ],
)
def test_a_declined_card_changes_nothing_and_says_why(
    client: stripe.StripeClient,
    session: stripe.checkout.Session,
    browser: Browser,
    number: str,
    message: str,
    decline_code: str | None,
) -> None:
    last = client.v1.events.list().data[0].id
    page = browser.pay(session, number)
    assert page.status == 402
    assert message in page.text
    assert number in page.text
    assert 'value="123"' not in page.text
    assert _types(client, since=last) == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    failed = client.v1.events.list({"type": "payment_intent.payment_failed"}).data[0].data.object
    assert failed["last_payment_error"].to_dict().get("decline_code") == decline_code
    assert client.v1.subscriptions.list({"status": "all"}).data == []
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert browser.pay(session, "4242424242424242").status == 303
    assert len(client.v1.payment_intents.list().data) == 1


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"number": "4242424242424241"}, "Your card number is invalid."),
        ({"number": "42424242"}, "Your card number is incomplete."),
        ({"number": ""}, "Your card number is incomplete."),
        ({"expiry": "01/20"}, "Your card&#39;s expiration year is in the past."),
        ({"expiry": "13/40"}, "Your card&#39;s expiration date is invalid."),
        ({"expiry": ""}, "Your card&#39;s expiration date is incomplete."),
        ({"cvc": "12"}, "Your card&#39;s security code is incomplete."),
        ({"name": ""}, "Enter the name on the card."),
    ],
)
def test_what_was_typed_wrongly_is_said_at_its_field_and_kept(
    client: stripe.StripeClient, session: stripe.checkout.Session, browser: Browser, typed: dict[str, str], message: str
) -> None:
    page = browser.pay(session, **({"number": "4242424242424242"} | typed))
    assert page.status == 402
    assert message in page.text
    assert 'aria-invalid="true"' in page.text
    if "name" not in typed:
        assert 'value="Ada Lovelace"' in page.text
    assert client.v1.payment_intents.list().data == []


def test_a_card_that_asks_for_its_owner_pays_once_the_owner_has_confirmed(
    client: stripe.StripeClient, session: stripe.checkout.Session, browser: Browser
) -> None:
    asked = browser.pay(session, "4000002500003155")
    assert (asked.status, asked.location) == (303, f"/checkout/{session.id}/authenticate")
    assert asked.location is not None
    assert "Complete authentication" in browser.open(asked.location).text
    assert client.v1.subscriptions.list({"status": "all"}).data == []
    refused = browser.open(asked.location, {"answer": "fail"})
    assert "We are unable to authenticate your payment method" in refused.text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    browser.pay(session, "4000002500003155")
    assert browser.open(asked.location, {"answer": "complete"}).status == 303
    assert client.v1.subscriptions.list().data[0].status == "active"


def test_the_closed_page_says_why(
    client: stripe.StripeClient, session: stripe.checkout.Session, browser: Browser, controls: Controls
) -> None:
    address = f"/checkout/{session.id}"
    other = subscribing(client, str(session.customer), starter_price(client, amount=100).id)
    browser.pay(session, "4242424242424242")
    assert "Payment complete" in browser.open(address).text
    assert browser.open(address, {"number": "4242424242424242"}).status == 200
    assert len(client.v1.subscriptions.list().data) == 1
    controls.post("clock/advance", seconds=86_401)
    assert browser.open(f"/checkout/{other.id}").status == 410
    assert client.v1.checkout.sessions.retrieve(other.id).status == "expired"
    assert browser.open("/checkout/cs_test_nothing").status == 404


def test_an_open_session_can_be_expired_and_found_by_its_status(
    client: stripe.StripeClient, session: stripe.checkout.Session
) -> None:
    customer = str(session.customer)
    assert [s.id for s in client.v1.checkout.sessions.list({"customer": customer, "status": "open"}).data] == [
        session.id
    ]
    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    assert client.v1.checkout.sessions.list({"customer": customer, "status": "open"}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="Only Checkout Sessions with a status in"):
        client.v1.checkout.sessions.expire(session.id)


def test_a_session_without_a_customer_makes_one(client: stripe.StripeClient, browser: Browser) -> None:
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer_email": "new@example.com",
            "line_items": [{"price": starter_price(client).id, "quantity": 1}],
            "success_url": SUCCESS_URL,
        }
    )
    browser.pay(session, "4242424242424242")
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["customer"]})
    assert isinstance(paid.customer, stripe.Customer)
    assert paid.customer.email == "new@example.com"


def test_a_one_time_payment_is_paid_by_a_payment_intent(client: stripe.StripeClient, browser: Browser) -> None:
    price = client.v1.prices.create({"currency": "eur", "unit_amount": 500, "product_data": {"name": "Pack"}})
    session = client.v1.checkout.sessions.create(
        {"mode": "payment", "line_items": [{"price": price.id, "quantity": 3}], "success_url": SUCCESS_URL}
    )
    browser.pay(session, "4242424242424242")
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert isinstance(paid.payment_intent, stripe.PaymentIntent)
    assert (paid.payment_intent.amount_received, paid.payment_intent.currency) == (1500, "eur")
    assert paid.subscription is None


def test_a_trial_costs_nothing_today(client: stripe.StripeClient, browser: Browser, controls: Controls) -> None:
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": ada(client).id,
            "line_items": [{"price": starter_price(client).id, "quantity": 1}],
            "success_url": SUCCESS_URL,
            "subscription_data": {"trial_period_days": 14},
        }
    )
    assert session.payment_status == "no_payment_required"
    browser.pay(session, "4242424242424242")
    assert client.v1.subscriptions.list().data[0].status == "trialing"
    assert client.v1.payment_intents.list().data == []
    controls.post("clock/advance", seconds=15 * 86_400)
    assert client.v1.subscriptions.list().data[0].status == "active"
    assert [intent.amount_received for intent in client.v1.payment_intents.list().data] == [900]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": None}, "Missing required param: mode."),
        ({"success_url": None}, "Missing required param: success_url."),
        ({"line_items": None}, "Missing required param: line_items."),
        ({"mode": "payment"}, "You specified `payment` mode but passed a recurring price"),
        ({"customer": "cus_x"}, "No such customer: 'cus_x'"),
        ({"line_items": [{"price": "price_x", "quantity": 1}]}, "No such price: 'price_x'"),
        ({"expires_at": 1}, "at least 30 minutes"),
    ],
)
def test_a_session_that_cannot_be_is_refused(
    client: stripe.StripeClient, change: dict[str, object], message: str
) -> None:
    wanted: dict[str, object] = {
        "mode": "subscription",
        "line_items": [{"price": starter_price(client).id, "quantity": 1}],
        "success_url": SUCCESS_URL,
    }
    with pytest.raises(stripe.InvalidRequestError, match=message):
        client.v1.checkout.sessions.create({k: v for k, v in (wanted | change).items() if v is not None})  # type: ignore[arg-type]
