"""The rest of what each resource answers to, and what no request may do: break the sandbox."""

from __future__ import annotations

import http.client
import time
import urllib.parse

import pytest
import stripe

from tests.sandbox.conftest import KEY
from tests.sandbox.outside import SUCCESS_URL, Browser, Controls, ada, starter_price, subscribing
from tollhouse_sandbox.server import Running
from tollhouse_sandbox.stripe_api.routes import ROUTES

DAY = 86_400


@pytest.fixture
def live(client: stripe.StripeClient, browser: Browser) -> stripe.Subscription:
    """Ada has subscribed to Starter."""
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4242424242424242")
    return client.v1.subscriptions.list().data[0]


def test_a_product_is_made_with_its_default_price_changed_archived_and_listed(client: stripe.StripeClient) -> None:
    product = client.v1.products.create(
        {
            "id": "starter",
            "name": "Starter",
            "metadata": {"tollhouse_plan": "starter"},
            "default_price_data": {"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}},
            "expand": ["default_price"],
        }
    )
    assert isinstance(product.default_price, stripe.Price)
    assert product.default_price.unit_amount == 900
    with pytest.raises(stripe.InvalidRequestError, match="Product already exists"):
        client.v1.products.create({"id": "starter", "name": "Again"})
    changed = client.v1.products.update("starter", {"name": "Start", "active": False, "metadata": {"a": "1"}})
    assert (changed.name, changed.active) == ("Start", False)
    assert changed.metadata.to_dict() == {"tollhouse_plan": "starter", "a": "1"}
    assert client.v1.products.retrieve("starter").name == "Start"
    assert client.v1.products.list({"active": True}).data == []
    assert [p.id for p in client.v1.products.list({"ids": ["starter", "other"]}).data] == ["starter"]
    with pytest.raises(stripe.InvalidRequestError, match="cannot be deleted because it has one or more"):
        client.v1.products.delete("starter")
    empty = client.v1.products.create({"name": "Empty"})
    assert client.v1.products.delete(empty.id).deleted is True
    with pytest.raises(stripe.InvalidRequestError, match="No such product"):
        client.v1.products.retrieve(empty.id)


def test_prices_are_filtered_by_everything_that_tells_them_apart(client: stripe.StripeClient) -> None:
    monthly, yearly = starter_price(client), starter_price(client, amount=9000, interval="year")
    once = client.v1.prices.create({"currency": "EUR", "unit_amount_decimal": "99.5", "product_data": {"name": "Pack"}})  # type: ignore[typeddict-item]
    assert (once.unit_amount, str(once.unit_amount_decimal), once.currency) == (None, "99.5", "eur")
    client.v1.prices.update(monthly.id, {"active": False})

    def ids(**asked: object) -> set[str]:
        return {price.id for price in client.v1.prices.list(asked).data}  # type: ignore[arg-type]

    assert ids() == {monthly.id, yearly.id, once.id}
    assert ids(active=False) == {monthly.id}
    assert ids(type="one_time") == {once.id}
    assert ids(currency="usd", active=True) == {yearly.id}
    assert ids(recurring={"interval": "year"}) == {yearly.id}
    assert ids(product=str(monthly.product)) == {monthly.id}
    assert ids(lookup_keys=[monthly.lookup_key, yearly.lookup_key]) == {monthly.id, yearly.id}
    with pytest.raises(stripe.InvalidRequestError, match="price specified is inactive"):
        subscribing(client, ada(client).id, monthly.id)


def test_lists_are_filtered_by_their_time(client: stripe.StripeClient, controls: Controls) -> None:
    first = ada(client)
    controls.post("clock/advance", seconds=100)
    second = ada(client)
    for bounds, wanted in (
        ({"gt": first.created}, [second.id]),
        ({"gte": first.created, "lt": second.created}, [first.id]),
        ({"lte": second.created}, [second.id, first.id]),
    ):
        assert [c.id for c in client.v1.customers.list({"created": bounds}).data] == wanted  # type: ignore[arg-type]
    assert [c.id for c in client.v1.customers.list({"created": first.created}).data] == [first.id]
    with pytest.raises(stripe.InvalidRequestError, match="Invalid created"):
        client.v1.customers.list({"created": {"about": 1}})  # type: ignore[arg-type]


def test_an_invoice_is_described_listed_and_shows_its_lines(
    client: stripe.StripeClient, live: stripe.Subscription
) -> None:
    invoice = client.v1.invoices.list({"customer": str(live.customer), "status": "paid"}).data[0]
    changed = client.v1.invoices.update(invoice.id, {"description": "Thank you", "metadata": {"seen": "yes"}})
    assert (changed.description, changed.metadata and changed.metadata.to_dict()) == ("Thank you", {"seen": "yes"})
    assert [line.amount for line in client.v1.invoices.line_items.list(invoice.id).data] == [900]
    payments = client.v1.invoice_payments.list({"invoice": invoice.id}).data
    assert [payment.id for payment in payments] == [client.v1.invoice_payments.retrieve(payments[0].id).id]
    assert client.v1.invoices.list({"status": "draft"}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="already finalized"):
        client.v1.invoices.finalize_invoice(invoice.id)
    with pytest.raises(stripe.InvalidRequestError, match="only pass in open invoices"):
        client.v1.invoices.void_invoice(invoice.id)


def test_an_unpaid_invoice_can_be_voided(client: stripe.StripeClient) -> None:
    made = client.v1.subscriptions.create(
        {
            "customer": ada(client).id,
            "items": [{"price": starter_price(client).id}],
            "payment_behavior": "default_incomplete",
            "expand": ["latest_invoice.confirmation_secret"],
        }
    )
    assert isinstance(made.latest_invoice, stripe.Invoice)
    assert made.latest_invoice.confirmation_secret is not None
    assert made.latest_invoice.confirmation_secret.client_secret.startswith("pi_")
    assert client.v1.invoices.void_invoice(made.latest_invoice.id).status == "void"
    assert client.v1.payment_intents.list().data[0].status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="this invoice is void"):
        client.v1.invoices.pay(made.latest_invoice.id)


def test_items_are_added_counted_and_removed(client: stripe.StripeClient, live: stripe.Subscription) -> None:
    item, more = live["items"].data[0], starter_price(client, amount=300)
    client.v1.subscriptions.update(live.id, {"items": [{"id": item.id, "quantity": 3}, {"price": more.id}]})
    items = client.v1.subscription_items.list({"subscription": live.id}).data
    assert [(each.price.id, each.quantity) for each in items] == [(item.price.id, 3), (more.id, 1)]
    assert client.v1.subscription_items.retrieve(items[1].id).price.id == more.id
    client.v1.subscriptions.update(live.id, {"items": [{"id": items[1].id, "deleted": True}]})
    assert len(client.v1.subscriptions.retrieve(live.id)["items"].data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription_item"):
        client.v1.subscription_items.retrieve(items[1].id)
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription_item: 'si_x'"):
        client.v1.subscriptions.update(live.id, {"items": [{"id": "si_x", "price": more.id}]})


def test_a_subscription_ends_on_the_day_that_was_set(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    moment = live.created + 5 * DAY
    marked = client.v1.subscriptions.update(
        live.id, {"cancel_at": moment, "cancellation_details": {"comment": "too busy"}, "metadata": {"a": "b"}}
    )
    assert (marked.cancel_at, marked.cancel_at_period_end, marked.metadata["a"]) == (moment, False, "b")
    controls.post("clock/advance", to=moment)
    ended = client.v1.subscriptions.retrieve(live.id)
    assert (ended.status, ended.ended_at) == ("canceled", moment)
    with pytest.raises(stripe.InvalidRequestError, match="A canceled subscription can only update"):
        client.v1.subscriptions.update(live.id, {"cancel_at": moment + DAY})
    assert [s.id for s in client.v1.subscriptions.list({"status": "ended"}).data] == [live.id]
    assert client.v1.subscriptions.list({"status": "active"}).data == []


def test_a_trial_gives_notice_and_can_be_ended_early(client: stripe.StripeClient, controls: Controls) -> None:
    card = client.v1.customers.create(
        {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    )
    price = starter_price(client)
    trial = client.v1.subscriptions.create(
        {"customer": card.id, "items": [{"price": price.id}], "trial_period_days": 10}
    )
    assert (trial.status, trial.trial_end) == ("trialing", trial.created + 10 * DAY)
    controls.post("clock/advance", seconds=7 * DAY + 1)
    assert len(client.v1.events.list({"type": "customer.subscription.trial_will_end"}).data) == 1
    ended = client.v1.subscriptions.update(trial.id, {"trial_end": "now"})
    assert ended.status == "active"
    assert [invoice.amount_paid for invoice in client.v1.invoices.list().data] == [900, 0]


def test_a_session_may_bring_its_own_price(client: stripe.StripeClient, browser: Browser) -> None:
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "eur",
                        "unit_amount": 400,
                        "recurring": {"interval": "month"},
                        "product_data": {"name": "Quote"},
                    },
                }
            ],
            "success_url": SUCCESS_URL,
            "client_reference_id": "usr_1",
            "metadata": {"from": "quote"},
        }
    )
    assert client.v1.checkout.sessions.line_items.list(session.id).data[0].description == "Quote"
    assert browser.pay(session, "4242424242424242").status == 303
    updated = client.v1.checkout.sessions.update(session.id, {"metadata": {"seen": "yes"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"from": "quote", "seen": "yes"}
    subscription = str(updated.subscription)
    assert [s.id for s in client.v1.checkout.sessions.list({"subscription": subscription}).data] == [session.id]


def test_saving_a_card_by_checkout_keeps_it_for_the_customer(client: stripe.StripeClient, browser: Browser) -> None:
    customer = ada(client)
    session = client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": SUCCESS_URL}
    )
    assert "Your card was declined." in browser.pay(session, "4000000000000002").text
    assert browser.pay(session, "4000002500003155").location == f"/checkout/{session.id}/authenticate"
    assert browser.open(f"/checkout/{session.id}/authenticate", {"answer": "complete"}).status == 303
    saved = client.v1.customers.payment_methods.list(customer.id).data[0]
    intent = client.v1.setup_intents.list({"customer": customer.id}).data[0]
    assert (intent.status, intent.payment_method) == ("succeeded", saved.id)
    changed = client.v1.payment_methods.update(saved.id, {"card": {"exp_year": 2044}, "metadata": {"main": "yes"}})
    assert changed.card is not None
    assert changed.card.exp_year == 2044


FORMS = (
    "",
    "limit=0",
    "limit=101&starting_after=x",
    "id=&email=&name=%00&metadata[a]=" + "x" * 600,
    "items=1&line_items=2&metadata=3&recurring=4&expand=5",
    "items[0]=x&line_items[0]=y&card=z&payment_method_data=w",
    "items[0][price]=x&customer=x&mode=subscription&line_items[0][quantity]=-1&success_url=x",
    "amount=99999999999999999999&currency=zz&unit_amount=-5&product=x&interval_count=9",
    "customer[]=1&type[x]=2&query[y]=3&enabled_events[]=&url=x&payment_method[z]=1",
    "created=abc&created[gt]=1&trial_end=soon&cancel_at=&trial_period_days=-1",
    "query=" + urllib.parse.quote("email:'" + "\ud800".encode("utf-8", "surrogatepass").decode("latin-1") + "'"),
    "expand[]=data.data.data&expand[]=a..b&expand[]=customer.",
)


def test_no_request_breaks_the_sandbox(
    client: stripe.StripeClient, sandbox: Running, live: stripe.Subscription
) -> None:
    invoice = str(live.latest_invoice)
    ids = ["x", live.id, invoice, str(live.customer), str(live.default_payment_method), live["items"].data[0].price.id]
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(sandbox.url).netloc)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    broken = []
    for method, pattern in ROUTES:
        if method == "DELETE":
            continue
        for form in FORMS:
            for key in ids if ":id" in pattern else ["-"]:
                path = pattern.replace(":id", key)
                if method == "GET":
                    connection.request("GET", f"{path}?{form}", headers=headers)
                else:
                    connection.request("POST", path, form, headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status >= 500:
                    broken.append((method, path, form, body))
    connection.close()
    assert broken == []


def test_the_events_of_a_purchase_are_dated_by_the_sandboxs_clock(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    controls.post("clock/advance", seconds=10 * DAY)
    late = ada(client)
    assert late.created - time.time() == pytest.approx(10 * DAY, abs=5)
    assert client.v1.events.list().data[0].created == late.created
    assert late.created > live.created
