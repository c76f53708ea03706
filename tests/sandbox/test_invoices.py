"""Invoices written by hand: from items that wait to a bill that is paid, sent, voided, given up or thrown away."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.outside import Browser, Controls, ada, starter_price, subscribing

DAY = 86_400
HOUR = 3600


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    """Ada, with a card that pays as her default."""
    made = ada(client)
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    return client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": method.id}})


def owe(client: stripe.StripeClient, customer: stripe.Customer, amount: int, **more: str) -> stripe.InvoiceItem:
    """Something that she owes beside her subscriptions."""
    return client.v1.invoice_items.create({"customer": customer.id, "amount": amount, "currency": "usd", **more})  # type: ignore[arg-type]


def draft(client: stripe.StripeClient, customer: stripe.Customer, amount: int = 2000) -> stripe.Invoice:
    """A draft over that amount."""
    owe(client, customer, amount)
    return client.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})


def sent(client: stripe.StripeClient, customer: stripe.Customer) -> stripe.Invoice:
    """A draft that she pays by hand within a week."""
    owe(client, customer, 2000)
    return client.v1.invoices.create(
        {
            "customer": customer.id,
            "collection_method": "send_invoice",
            "days_until_due": 7,
            "pending_invoice_items_behavior": "include",
        }
    )


def test_items_wait_until_a_draft_takes_them_up_and_are_paid_with_it(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    once = client.v1.prices.create({"currency": "usd", "unit_amount": 150, "product_data": {"name": "Pack"}})
    packs = client.v1.invoice_items.create({"customer": customer.id, "pricing": {"price": once.id}, "quantity": 3})
    work = owe(client, customer, 2000, description="Work")
    assert client.v1.customers.retrieve(customer.id).currency == "usd"
    assert client.v1.invoices.create({"customer": customer.id}).lines.data == []

    invoice = client.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert (invoice.status, invoice.total, invoice.auto_advance) == ("draft", 2450, False)
    assert [line.amount for line in invoice.lines.data] == [450, 2000]
    assert client.v1.invoice_items.list({"customer": customer.id, "pending": True}).data == []
    assert [item.id for item in client.v1.invoice_items.list({"invoice": invoice.id}).data] == [work.id, packs.id]
    paid = client.v1.invoices.pay(invoice.id)
    assert (paid.status, paid.amount_paid, paid.ending_balance) == ("paid", 2450, 0)
    for refused in ({"amount": 1}, {"description": "Other"}):
        with pytest.raises(stripe.InvalidRequestError, match="its invoice has been finalized"):
            client.v1.invoice_items.update(work.id, refused)  # type: ignore[arg-type]
    types = [event["type"] for event in controls.get("events")["data"]][::-1]
    assert types[types.index("invoiceitem.created") :] == [
        *("invoiceitem.created", "invoiceitem.created", "invoice.created", "invoice.created", "invoice.finalized"),
        *("payment_intent.created", "charge.succeeded", "payment_intent.succeeded"),
        *("invoice_payment.paid", "invoice.paid", "invoice.payment_succeeded"),
    ]


def test_a_draft_follows_its_items(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    invoice = client.v1.invoices.create({"customer": customer.id, "description": "By hand"})
    item = owe(client, customer, 500, invoice=invoice.id)
    assert item.invoice == invoice.id
    line = client.v1.invoices.retrieve(invoice.id).lines.data[0]
    changed = client.v1.invoice_items.update(
        item.id, {"quantity": 3, "metadata": {"order": "7"}, "discountable": False}
    )
    assert (changed.amount, changed.net_amount, str(changed.quantity_decimal)) == (1500, 1500, "3")
    after = client.v1.invoices.retrieve(invoice.id)
    assert (after.amount_due, after.lines.data[0].id, after.lines.data[0].metadata["order"]) == (1500, line.id, "7")
    client.v1.invoice_items.update(item.id, {"amount": 700})
    assert client.v1.invoices.retrieve(invoice.id).total == 700
    assert client.v1.invoice_items.delete(item.id).deleted is True
    assert client.v1.invoices.retrieve(invoice.id).lines.data == []
    assert client.v1.invoices.finalize_invoice(invoice.id).status == "paid"
    with pytest.raises(stripe.InvalidRequestError, match="no longer editable"):
        owe(client, customer, 500, invoice=invoice.id)


def test_a_declined_card_leaves_the_invoice_open_and_unretried(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    invoice = draft(client, customer)
    with pytest.raises(stripe.CardError, match="Your card was declined"):
        client.v1.invoices.pay(invoice.id, {"payment_method": method.id})
    controls.post("clock/advance", seconds=30 * DAY)
    after = client.v1.invoices.retrieve(invoice.id)
    assert (after.status, after.attempt_count, after.next_payment_attempt) == ("open", 1, None)
    assert client.v1.invoices.pay(invoice.id).status == "paid"


def test_a_card_that_asks_its_owner_is_asked(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    method = client.v1.payment_methods.attach("pm_card_threeDSecure2Required", {"customer": customer.id})
    invoice = draft(client, customer)
    with pytest.raises(stripe.CardError, match="requires additional user action"):
        client.v1.invoices.pay(invoice.id, {"payment_method": method.id})
    assert client.v1.payment_intents.list().data[0].status == "requires_action"
    assert client.v1.events.list({"type": "invoice.payment_action_required"}).data != []


def test_what_advances_by_itself_is_charged_after_an_hour(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    invoice = draft(client, customer)
    changed = client.v1.invoices.update(invoice.id, {"auto_advance": True})
    assert changed.next_payment_attempt == changed.automatically_finalizes_at == invoice.created + HOUR
    controls.post("clock/advance", to=invoice.created + HOUR - 1)
    assert client.v1.invoices.retrieve(invoice.id).status == "draft"
    controls.post("clock/advance", seconds=2)
    assert client.v1.invoices.retrieve(invoice.id).status == "paid"


def test_a_bill_is_sent_and_paid_elsewhere(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    invoice = sent(client, customer)
    assert invoice.due_date == invoice.created + 7 * DAY
    client.v1.invoices.update(invoice.id, {"due_date": invoice.created + DAY})
    opened = client.v1.invoices.send_invoice(invoice.id)
    assert (opened.status, opened.due_date) == ("open", invoice.created + DAY)
    assert client.v1.events.list({"type": "invoice.sent"}).data[0].data.object["id"] == invoice.id
    paid = client.v1.invoices.pay(invoice.id, {"paid_out_of_band": True, "expand": ["payments"]})
    assert (paid.status, paid.amount_remaining) == ("paid", 0)
    assert paid.payments is not None
    assert paid.payments.data[0].status == "canceled"
    assert client.v1.charges.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="this invoice is paid"):
        client.v1.invoices.send_invoice(invoice.id)


def test_a_bill_that_advances_by_itself_is_sent_and_never_charged(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    invoice = client.v1.invoices.update(sent(client, customer).id, {"auto_advance": True})
    assert (invoice.next_payment_attempt, invoice.automatically_finalizes_at) == (None, invoice.created + HOUR)
    controls.post("clock/advance", seconds=30 * DAY)
    after = client.v1.invoices.retrieve(invoice.id)
    assert (after.status, after.attempt_count) == ("open", 0)
    assert len(client.v1.events.list({"type": "invoice.sent"}).data) == 1


def test_what_is_given_up_can_still_be_paid_or_voided(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    first, second = draft(client, customer), draft(client, customer)
    with pytest.raises(stripe.InvalidRequestError, match="only mark open invoices"):
        client.v1.invoices.mark_uncollectible(first.id)
    for invoice in (first, second):
        client.v1.invoices.finalize_invoice(invoice.id)
        given_up = client.v1.invoices.mark_uncollectible(invoice.id)
        assert given_up.status == "uncollectible"
        assert given_up.status_transitions.marked_uncollectible_at is not None
    assert client.v1.invoices.pay(first.id).status == "paid"
    assert client.v1.invoices.void_invoice(second.id).status == "void"


def test_a_draft_is_thrown_away_and_its_items_wait_again(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    invoice = draft(client, customer)
    assert client.v1.invoices.delete(invoice.id).deleted is True
    assert [item.invoice for item in client.v1.invoice_items.list({"customer": customer.id}).data] == [None]
    with pytest.raises(stripe.InvalidRequestError, match="No such invoice"):
        client.v1.invoices.retrieve(invoice.id)
    again = draft(client, customer, 100)
    assert again.total == 2100
    client.v1.invoices.finalize_invoice(again.id)
    with pytest.raises(stripe.InvalidRequestError, match="only delete draft invoices"):
        client.v1.invoices.delete(again.id)


def test_a_renewal_takes_up_what_waits(client: stripe.StripeClient, browser: Browser, controls: Controls) -> None:
    customer = ada(client)
    browser.pay(subscribing(client, customer.id, starter_price(client).id), "4242424242424242")
    live = client.v1.subscriptions.list().data[0]
    owe(client, customer, 250, subscription=live.id)
    client.v1.invoice_items.create({"customer": customer.id, "amount": 99, "currency": "eur"})
    controls.post("clock/advance", to=live["items"].data[0].current_period_end)
    renewal = client.v1.invoices.list({"subscription": live.id}).data[0]
    assert (renewal.billing_reason, renewal.total, renewal.status) == ("subscription_cycle", 1150, "paid")
    assert [item.currency for item in client.v1.invoice_items.list({"pending": True}).data] == ["eur"]


def test_a_discount_on_the_subscription_covers_what_its_renewal_takes_up(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    half = client.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    live = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": starter_price(client).id}],
            "discounts": [{"coupon": half.id}],
        }
    )
    owe(client, customer, 250)
    controls.post("clock/advance", to=live["items"].data[0].current_period_end)
    renewal = client.v1.invoices.list({"subscription": live.id}).data[0]
    assert (renewal.subtotal, renewal.total, renewal.status) == (1150, 575, "paid")
    assert renewal.total_discount_amounts is not None
    assert [off.amount for off in renewal.total_discount_amounts] == [575]


def test_what_makes_no_sense_is_refused(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    monthly, other = starter_price(client), ada(client)
    invoice = draft(client, customer)
    refused = [
        ({"customer": customer.id}, "Missing required param: amount"),
        ({"customer": customer.id, "amount": 1, "quantity": 2}, "amount, quantity"),
        ({"customer": customer.id, "amount": 1, "unit_amount_decimal": "1"}, "only specify one of"),
        ({"customer": customer.id, "amount": 100_000_000}, "can be billed at once"),
        ({"customer": customer.id, "unit_amount_decimal": "9999", "quantity": 99_999}, "can be billed at once"),
        ({"customer": customer.id, "pricing": {"price": monthly.id}}, "type=recurring"),
        ({"customer": customer.id, "amount": 1, "period": {"start": 2, "end": 1}}, "end of the period"),
        ({"customer": customer.id, "amount": 1, "currency": "eur", "invoice": invoice.id}, "currency"),
        ({"customer": other.id, "amount": 1, "invoice": invoice.id}, "is not one of customer"),
    ]
    for parameters, words in refused:
        with pytest.raises(stripe.InvalidRequestError, match=words):
            client.v1.invoice_items.create(parameters)  # type: ignore[arg-type]
    for parameters, words in (
        ({"collection_method": "send_invoice"}, "days_until_due"),
        ({"days_until_due": 3}, "`collection_method` is `send_invoice`"),
        ({"collection_method": "send_invoice", "days_until_due": 3, "due_date": 4}, "only specify one"),
        ({"collection_method": "send_invoice", "due_date": 4}, "due in the future"),
        ({"default_payment_method": client.v1.payment_methods.retrieve("pm_card_visa").id}, "must be attached"),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=words):
            client.v1.invoices.create({"customer": customer.id, **parameters})  # type: ignore[arg-type]
    with pytest.raises(stripe.InvalidRequestError, match="collection method is 'send_invoice'"):
        client.v1.invoices.send_invoice(invoice.id)
