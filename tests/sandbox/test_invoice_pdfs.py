"""The PDF of an invoice, read by a library that has no part in drawing it."""

from __future__ import annotations

import urllib.error
import urllib.request
from io import BytesIO

import pypdf
import pytest
import stripe

from tests.sandbox.outside import ada


def text_of(address: str) -> str:
    """What a reader sees; anything that is no sound PDF raises."""
    with urllib.request.urlopen(address) as answer:
        assert answer.headers["content-type"] == "application/pdf"
        reader = pypdf.PdfReader(BytesIO(answer.read()), strict=True)
    return "\n".join(page.extract_text() for page in reader.pages)


def paid(client: stripe.StripeClient, customer: str, *amounts: int, currency: str = "usd") -> stripe.Invoice:
    for amount in amounts:
        item = {"customer": customer, "amount": amount, "currency": currency, "description": f"Work of {amount}"}
        client.v1.invoice_items.create(item)  # type: ignore[arg-type]
    made = client.v1.invoices.create(
        {"customer": customer, "currency": currency, "pending_invoice_items_behavior": "include"}
    )
    return client.v1.invoices.pay(made.id)


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    made = ada(client)
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    return client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": method.id}})


def test_it_says_number_lines_and_what_was_paid(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    invoice = paid(client, customer.id, 123_450, 50)
    text = text_of(str(invoice.invoice_pdf))
    assert str(invoice.number) in text
    for said in (
        "Invoice",
        "Sandbox",
        "ada@example.com",
        "Work of 123450",
        "$1,234.50",
        "$0.50",
        "Amount paid",
        "$1,235.00",
    ):
        assert said in text, said


def test_it_speaks_the_customers_language(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    client.v1.customers.update(customer.id, {"preferred_locales": ["fr-FR"], "name": "Zoé (l'été) \\ fils"})
    text = text_of(str(paid(client, customer.id, 1_000, currency="eur").invoice_pdf))
    for said in ("Facture", "Montant payé", "€10.00", "Zoé (l'été) \\ fils"):
        assert said in text, said


def test_amounts_without_minor_units_have_none(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    assert "¥1,500" in text_of(str(paid(client, customer.id, 1_500, currency="jpy").invoice_pdf))


def test_many_lines_take_further_pages(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    invoice = paid(client, customer.id, *range(100, 160))
    with urllib.request.urlopen(str(invoice.invoice_pdf)) as answer:
        pages = pypdf.PdfReader(BytesIO(answer.read()), strict=True).pages
    assert len(pages) == 3
    assert "Work of 159" in pages[-1].extract_text()


def test_a_draft_has_none(client: stripe.StripeClient, customer: stripe.Customer, sandbox: object) -> None:
    open_one = paid(client, customer.id, 100)
    client.v1.invoice_items.create({"customer": customer.id, "amount": 100, "currency": "usd"})
    draft = client.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert draft.invoice_pdf is None
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(str(open_one.invoice_pdf).replace(open_one.id, draft.id))
