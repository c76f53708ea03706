"""A Checkout session read and submitted over the API, and the address that a payment is delivered to."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import KEY
from tests.sandbox.outside import SUCCESS_URL, ada, starter_price, subscribing
from tollhouse_sandbox.server import Running

ADDRESS: Any = {"line1": "510 Townsend St", "city": "San Francisco", "country": "US"}


class Pages:
    """`/v1/payment_pages`, which the SDK does not know."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **form: str) -> tuple[int, Any]:
        """Status and answer; sent as a form when there are parameters."""
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(
            f"{self._url}/v1/payment_pages/{path}", data, {"Authorization": f"Bearer {KEY}"}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["error"]


@pytest.fixture
def pages(sandbox: Running) -> Pages:
    return Pages(sandbox.url)


def test_a_session_is_paid_after_what_went_wrong(client: stripe.StripeClient, pages: Pages) -> None:
    session = subscribing(client, ada(client).id, starter_price(client).id)
    assert pages.ask(session.id)[1]["amount_total"] == 900
    confirm = f"{session.id}/confirm"
    status, error = pages.ask(confirm, payment_method="pm_card_visa", expected_amount="901")
    assert (status, error["code"]) == (400, "checkout_amount_mismatch")
    status, error = pages.ask(confirm, payment_method="pm_card_chargeDeclined", expected_amount="900")
    assert (status, error["code"], error["type"]) == (402, "card_declined", "card_error")
    status, waiting = pages.ask(confirm, payment_method="pm_card_threeDSecure2Required")
    assert (status, waiting["status"]) == (200, "open")
    status, paid = pages.ask(confirm, payment_method="pm_card_visa", expected_amount="900")
    assert (status, paid["status"], paid["payment_status"]) == (200, "complete", "paid")
    assert client.v1.subscriptions.retrieve(paid["subscription"]).status == "active"
    status, error = pages.ask(confirm, payment_method="pm_card_visa")
    assert (status, error["code"]) == (400, "checkout_not_active_session")
    assert pages.ask("cs_test_none")[0] == 404


def test_the_address_of_delivery_goes_from_session_to_charge(client: stripe.StripeClient, pages: Pages) -> None:
    once = client.v1.prices.create({"currency": "usd", "unit_amount": 500, "product_data": {"name": "Pack"}})
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price": once.id, "quantity": 1}],
            "success_url": SUCCESS_URL,
            "payment_intent_data": {"shipping": {"name": "Jenny Rosen", "address": ADDRESS}},
        }
    )
    pages.ask(f"{session.id}/confirm", payment_method="pm_card_visa")
    intent = client.v1.payment_intents.list({"expand": ["data.latest_charge"]}).data[0]
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.shipping is not None
    assert intent.latest_charge.shipping is not None
    assert intent.shipping.to_dict() == intent.latest_charge.shipping.to_dict()
    assert intent.shipping.to_dict() == {
        "address": {**ADDRESS, "line2": None, "postal_code": None, "state": None},
        "carrier": None,
        "name": "Jenny Rosen",
        "phone": None,
        "tracking_number": None,
    }


def test_the_address_of_delivery_can_change_until_it_is_paid(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    assert intent.shipping is None
    shipping: Any = {"name": "Jenny Rosen", "address": ADDRESS}
    changed = client.v1.payment_intents.update(intent.id, {"shipping": shipping})
    assert changed.shipping is not None
    shipping["name"] = "Ada Lovelace"
    paid = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa", "shipping": shipping})
    assert paid.shipping is not None
    assert (paid.status, paid.shipping.name) == ("succeeded", "Ada Lovelace")
    with pytest.raises(stripe.InvalidRequestError, match=r"shipping\[name\]"):
        client.v1.payment_intents.create({"amount": 500, "currency": "usd", "shipping": {"address": ADDRESS}})  # type: ignore[typeddict-item]
