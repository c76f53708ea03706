"""Tax in the sandbox, as Stripe Tax shows it."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import SUCCESS_URL, Browser, Controls, ada, starter_price

HERE = {"country": "FR", "postal_code": "75001"}


def session_of(
    client: stripe.StripeClient, customer: str, price: str, mode: Literal["payment", "subscription"] = "subscription"
) -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(
        {
            "mode": mode,
            "customer": customer,
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": SUCCESS_URL,
            "automatic_tax": {"enabled": True},
            "tax_id_collection": {"enabled": True},
            "customer_update": {"address": "auto", "name": "auto"},
        }
    )


def priced(
    client: stripe.StripeClient, behavior: Literal["exclusive", "inclusive"], amount: int = 1_000
) -> stripe.Price:
    return client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": amount,
            "tax_behavior": behavior,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Starter"},
        }
    )


@pytest.mark.parametrize(
    ("behavior", "net", "tax", "gross"), [("exclusive", 1_000, 200, 1_200), ("inclusive", 833, 167, 1_000)]
)
def test_an_invoice_says_what_is_tax_in_the_annotated_shape(
    client: stripe.StripeClient,
    browser: Browser,
    behavior: Literal["exclusive", "inclusive"],
    net: int,
    tax: int,
    gross: int,
) -> None:
    session = session_of(client, ada(client).id, priced(client, behavior).id)
    assert problems(session.to_dict()) == []
    assert session.automatic_tax.status == "requires_location_inputs"
    browser.pay(session, "4242424242424242", **HERE)
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert problems(paid.to_dict()) == []
    assert paid.automatic_tax.status == "complete"
    assert paid.total_details is not None
    assert (paid.total_details.amount_tax, paid.amount_total) == (tax, gross)
    invoice = client.v1.invoices.retrieve(str(paid.invoice))
    assert problems(json.loads(client.raw_request("get", f"/v1/invoices/{invoice.id}").body)) == []
    assert (invoice.total_excluding_tax, invoice.total, invoice.amount_paid) == (net, gross, gross)
    assert invoice.subtotal_excluding_tax == net
    [whole] = invoice.total_taxes or []
    assert (whole.amount, whole.taxable_amount, whole.tax_behavior) == (tax, net, behavior)
    [line] = invoice.lines.data
    [of_line] = line.taxes or []
    assert (of_line.amount, of_line.taxability_reason) == (tax, "standard_rated")


def test_the_page_works_the_tax_out_before_anything_is_paid(client: stripe.StripeClient, browser: Browser) -> None:
    session = session_of(client, ada(client).id, starter_price(client).id)
    assert session.url is not None
    page = browser.open(session.url, {"answer": "tax", **HERE})
    assert page.status == 200
    assert "$10.80" in page.text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_a_customers_tax_ids_are_kept_checked_and_deleted(client: stripe.StripeClient, controls: Controls) -> None:
    customer = ada(client)
    made = client.v1.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": "DE123456789"})
    assert problems(made.to_dict()) == []
    assert client.v1.customers.tax_ids.retrieve(customer.id, made.id).country == "DE"
    assert [each.id for each in client.v1.customers.tax_ids.list(customer.id).data] == [made.id]
    with pytest.raises(stripe.InvalidRequestError, match="Invalid value for eu_vat"):
        client.v1.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": "nonsense"})
    with pytest.raises(stripe.InvalidRequestError, match="No such"):
        client.v1.customers.tax_ids.retrieve(ada(client).id, made.id)
    assert client.v1.customers.tax_ids.delete(customer.id, made.id).deleted
    assert client.v1.customers.tax_ids.list(customer.id).data == []
    told = {event["type"] for event in controls.get("events")["data"]}
    assert {"customer.tax_id.created", "customer.tax_id.deleted"} <= told


def test_a_known_customer_must_be_let_take_over_what_is_typed(client: stripe.StripeClient) -> None:
    customer, price = ada(client).id, starter_price(client).id
    asked: Any = {
        "mode": "subscription", "customer": customer, "line_items": [{"price": price, "quantity": 1}],
        "success_url": SUCCESS_URL,
    }  # fmt: skip
    with pytest.raises(stripe.InvalidRequestError, match="requires a valid address on the Customer"):
        client.v1.checkout.sessions.create({**asked, "automatic_tax": {"enabled": True}})  # type: ignore[arg-type]
    with pytest.raises(stripe.InvalidRequestError, match="requires updating business name"):
        client.v1.checkout.sessions.create({**asked, "tax_id_collection": {"enabled": True}})  # type: ignore[arg-type]


def test_a_discount_comes_off_before_tax_and_an_exempt_customer_pays_none(
    client: stripe.StripeClient, browser: Browser
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "once"})
    customer = ada(client).id
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": [{"price": starter_price(client, amount=1_000).id, "quantity": 1}],
            "success_url": SUCCESS_URL,
            "discounts": [{"coupon": coupon.id}],
            "automatic_tax": {"enabled": True},
            "customer_update": {"address": "auto"},
        }
    )
    browser.pay(session, "4242424242424242", **HERE)
    invoice = client.v1.invoices.list({"customer": customer}).data[0]
    assert (invoice.subtotal, invoice.total_excluding_tax, invoice.total) == (1_000, 500, 600)

    exempt = client.v1.customers.create({"email": "e@example.com", "tax_exempt": "exempt"}).id
    browser.pay(session_of(client, exempt, priced(client, "exclusive", 900).id), "4242424242424242", **HERE)
    invoice = client.v1.invoices.list({"customer": exempt}).data[0]
    assert invoice.total == 900
    assert [each.taxability_reason for each in invoice.total_taxes or []] == ["customer_exempt"]
