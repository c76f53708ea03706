"""Paying by bank debit: the page takes an account, and the bank answers days later."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import SUCCESS_URL, Browser, Controls, Page, ada
from tollhouse_sandbox import banks

PAYS = "AT61 1904 3002 3457 3201"
PAYS_SOON = "DE08370400440532013003"
FAILS = "AT861904300235473202"
DAY = 86_400


def price(client: stripe.StripeClient, *, currency: str = "eur", recurring: bool = True) -> stripe.Price:
    given: Any = {"currency": currency, "unit_amount": 900, "product_data": {"name": "Starter"}}
    return client.v1.prices.create(given | ({"recurring": {"interval": "month"}} if recurring else {}))


def session(client: stripe.StripeClient, mode: Any = "subscription", **more: Any) -> stripe.checkout.Session:
    bought = price(client, recurring=mode == "subscription")
    given: Any = {
        "mode": mode,
        "customer": ada(client).id,
        "line_items": [{"price": bought.id, "quantity": 1}],
        "success_url": SUCCESS_URL,
        **more,
    }
    return client.v1.checkout.sessions.create(given)


def debit(browser: Browser, session: stripe.checkout.Session, iban: str, holder: str = "Ada Lovelace") -> Page:
    assert session.url is not None
    return browser.open(session.url, {"method": "sepa_debit", "iban": iban, "holder": holder})


def types_since(client: stripe.StripeClient, event: str) -> list[str]:
    return [found.type for found in reversed(client.v1.events.list({"limit": 100, "ending_before": event}).data)]


def retrieved(client: stripe.StripeClient, session: stripe.checkout.Session) -> dict[str, Any]:
    expand = ["subscription", "invoice.payments.data.payment.payment_intent", "payment_intent.latest_charge"]
    return sound(client, f"/v1/checkout/sessions/{session.id}", expand=expand)


def sound(client: stripe.StripeClient, path: str, **params: Any) -> dict[str, Any]:
    """The object as it is sent, which has to have Stripe's own shape."""
    found: dict[str, Any] = json.loads(client.raw_request("get", path, **params).body)
    assert problems(found) == []
    return found


def test_every_documented_account_has_its_check_digits() -> None:
    assert [iban for iban in banks._IBANS if not banks.is_valid(iban)] == []
    assert not banks.is_valid("AT611904300234573202")


def test_a_debit_is_offered_where_the_currency_allows_it(client: stripe.StripeClient, browser: Browser) -> None:
    offered = session(client)
    assert offered.payment_method_types == ["card", "sepa_debit"]
    assert offered.url is not None
    page = browser.open(offered.url)
    assert 'for="iban"' in page.text
    assert 'id="method-debit"' in page.text
    for filtered in (
        session(client, allowed_payment_method_types=["card"]),
        session(client, excluded_payment_method_types=["sepa_debit"]),
    ):
        assert filtered.payment_method_types == ["card"]
        assert filtered.url is not None
        assert "iban" not in browser.open(filtered.url).text
    in_dollars: Any = [{"price": price(client, currency="usd").id, "quantity": 1}]
    assert session(client, line_items=in_dollars).payment_method_types == ["card"]
    with pytest.raises(stripe.InvalidRequestError, match="No valid payment method types"):
        session(client, line_items=in_dollars, allowed_payment_method_types=["sepa_debit"])


@pytest.mark.parametrize(
    ("iban", "holder", "message"),
    [
        ("AT61", "Ada", "Your IBAN is incomplete."),
        ("AT611904300234573202", "Ada", "Your IBAN is invalid."),
        ("AT61190430023457320", "Ada", "Your IBAN is invalid."),
        (PAYS, "", "Enter the name of the account holder."),
    ],
)
def test_a_bad_account_is_told_beside_its_field(
    client: stripe.StripeClient, browser: Browser, iban: str, holder: str, message: str
) -> None:
    page = debit(browser, session(client), iban, holder)
    assert page.status == 402
    assert message in page.text
    assert f'value="{iban}"' in page.text


def test_a_subscription_begins_and_its_invoice_waits_for_the_bank(
    client: stripe.StripeClient, controls: Controls, browser: Browser
) -> None:
    bought = session(client)
    last = client.v1.events.list().data[0].id
    page = debit(browser, bought, PAYS)
    assert (page.status, page.location) == (303, SUCCESS_URL.replace("{CHECKOUT_SESSION_ID}", bought.id))
    found = retrieved(client, bought)
    assert (found["status"], found["payment_status"]) == ("complete", "unpaid")
    assert found["subscription"]["status"] == "active"
    intent = found["invoice"]["payments"]["data"][0]["payment"]["payment_intent"]
    assert (found["invoice"]["status"], intent["status"]) == ("open", "processing")
    told = types_since(client, last)
    assert told[-1] == "checkout.session.completed"
    assert {"charge.pending", "payment_intent.processing", "customer.subscription.updated"} <= set(told)
    assert not any(name in ("invoice.paid", "invoice.payment_failed", "charge.succeeded") for name in told)
    with pytest.raises(stripe.InvalidRequestError, match="status of processing"):
        client.v1.invoices.pay(found["invoice"]["id"])

    last = client.v1.events.list().data[0].id
    controls.post("clock/advance", seconds=5 * DAY)

    assert types_since(client, last) == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
        "checkout.session.async_payment_succeeded",
    ]
    found = retrieved(client, bought)
    assert (found["payment_status"], found["invoice"]["status"]) == ("paid", "paid")
    assert found["subscription"]["status"] == "active"


def test_a_debit_that_fails_leaves_the_subscription_owing(
    client: stripe.StripeClient, controls: Controls, browser: Browser
) -> None:
    bought = session(client)
    debit(browser, bought, FAILS)
    last = client.v1.events.list().data[0].id

    controls.post("clock/advance", seconds=5 * DAY)

    told = types_since(client, last)
    assert told[:3] == ["charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"]
    assert told[-1] == "checkout.session.async_payment_failed"
    found = retrieved(client, bought)
    assert (found["status"], found["payment_status"]) == ("complete", "unpaid")
    assert (found["invoice"]["status"], found["subscription"]["status"]) == ("open", "past_due")
    assert found["invoice"]["next_payment_attempt"] is not None
    intent = found["invoice"]["payments"]["data"][0]["payment"]["payment_intent"]
    assert intent["last_payment_error"]["code"] == "payment_intent_payment_attempt_failed"
    charge = client.v1.charges.list({"payment_intent": intent["id"]}).data[0]
    assert (charge.status, charge.paid, charge.captured) == ("failed", False, False)


def test_a_single_payment_waits_for_minutes_where_the_account_says_so(
    client: stripe.StripeClient, controls: Controls, browser: Browser
) -> None:
    bought = session(client, mode="payment")
    debit(browser, bought, PAYS_SOON)
    found = retrieved(client, bought)
    assert (found["payment_status"], found["payment_intent"]["status"]) == ("unpaid", "processing")
    charge = found["payment_intent"]["latest_charge"]
    assert (charge["status"], charge["paid"]) == ("pending", False)
    assert charge["payment_method_details"]["sepa_debit"]["last4"] == "3003"
    controls.post("clock/advance", seconds=179)
    assert retrieved(client, bought)["payment_status"] == "unpaid"
    controls.post("clock/advance", seconds=2)
    assert retrieved(client, bought)["payment_status"] == "paid"
    assert client.v1.events.list({"type": "checkout.session.async_payment_succeeded"}).data


def test_a_renewal_is_debited_too(client: stripe.StripeClient, controls: Controls, browser: Browser) -> None:
    bought = session(client)
    debit(browser, bought, PAYS)
    controls.post("clock/advance", seconds=32 * DAY)
    subscription = retrieved(client, bought)["subscription"]
    newest = client.v1.invoices.list({"subscription": subscription["id"]}).data[0]
    assert (newest.billing_reason, newest.status, subscription["status"]) == ("subscription_cycle", "open", "active")
    controls.post("clock/advance", seconds=5 * DAY)
    assert client.v1.invoices.retrieve(newest.id).status == "paid"
    assert len(client.v1.events.list({"type": "checkout.session.async_payment_succeeded"}).data) == 1


def test_an_account_is_a_payment_method_by_the_api(client: stripe.StripeClient, controls: Controls) -> None:
    owner: Any = {"name": "Ada", "email": "ada@example.com"}
    made = client.v1.payment_methods.create(
        {"type": "sepa_debit", "sepa_debit": {"iban": "FR1420041010050500013M02606"}, "billing_details": owner}
    )
    sound(client, f"/v1/payment_methods/{made.id}")
    assert made.sepa_debit is not None
    assert (made.sepa_debit.country, made.sepa_debit.last4) == ("FR", "2606")
    with pytest.raises(stripe.InvalidRequestError, match=r"billing_details\[name\]"):
        client.v1.payment_methods.create({"type": "sepa_debit", "sepa_debit": {"iban": "AT611904300234573201"}})
    customer = ada(client)
    client.v1.payment_methods.attach(made.id, {"customer": customer.id})
    assert client.v1.payment_methods.list({"customer": customer.id, "type": "card"}).data == []
    intent = client.v1.payment_intents.create(
        {
            "amount": 500, "currency": "eur", "customer": customer.id, "payment_method": made.id, "confirm": True,
            "allowed_payment_method_types": ["sepa_debit"],
        }
    )  # fmt: skip
    sound(client, f"/v1/payment_intents/{intent.id}", expand=["latest_charge", "payment_method"])
    assert intent.status == "processing"
    with pytest.raises(stripe.InvalidRequestError, match="status of processing"):
        client.v1.payment_intents.cancel(intent.id)
    controls.post("clock/advance", seconds=5 * DAY)
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_disputed_debit_is_disputed_when_it_has_been_paid(
    client: stripe.StripeClient, controls: Controls, browser: Browser
) -> None:
    bought = session(client, mode="payment")
    debit(browser, bought, "AT591904300235473203")
    assert client.v1.disputes.list().data == []
    controls.post("clock/advance", seconds=5 * DAY)
    dispute = client.v1.disputes.list().data[0]
    assert sound(client, f"/v1/disputes/{dispute.id}")["reason"] == "debit_not_authorized"
