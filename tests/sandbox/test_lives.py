"""What becomes of a subscription: renewed, failed, recovered, changed, canceled."""

from __future__ import annotations

import calendar
import time
from datetime import UTC, datetime

import pytest
import stripe

from tests.sandbox.outside import Browser, Controls, ada, starter_price, subscribing
from tollhouse_sandbox.billing.periods import boundary, next_boundary
from tollhouse_sandbox.config import Config

DAY = 86_400


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.fixture
def live(client: stripe.StripeClient, browser: Browser) -> stripe.Subscription:
    """Ada has subscribed to Starter with a good card."""
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4242424242424242")
    return client.v1.subscriptions.list().data[0]


def _types(client: stripe.StripeClient, since: str) -> list[str]:
    return [event.type for event in reversed(client.v1.events.list({"limit": 100, "ending_before": since}).data)]


def test_periods_are_counted_from_the_anchor_so_that_the_31st_comes_back() -> None:
    anchor = _at("2025-01-31T10:30:00")
    ends = [boundary(anchor, "month", 1, number) for number in range(1, 5)]
    assert ends == [_at(f"2025-{day}T10:30:00") for day in ("02-28", "03-31", "04-30", "05-31")]
    assert boundary(_at("2024-02-29T00:00:00"), "year", 1, 1) == _at("2025-02-28T00:00:00")
    assert boundary(_at("2024-02-29T00:00:00"), "year", 1, 4) == _at("2028-02-29T00:00:00")
    assert boundary(anchor, "week", 2, 1) == anchor + 14 * DAY


def test_the_next_period_is_found_from_any_moment() -> None:
    anchor = _at("2025-01-31T10:30:00")
    for interval in ("day", "week", "month", "year"):
        here = anchor
        for number in range(1, 30):
            following = next_boundary(anchor, interval, 1, here)
            assert following == boundary(anchor, interval, 1, number)
            assert next_boundary(anchor, interval, 1, following - 1) == following
            here = following


def test_a_month_later_the_next_period_is_billed_and_paid(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    last = client.v1.events.list().data[0].id
    old = live["items"].data[0]
    controls.post("clock/advance", to=old.current_period_end)
    renewed = client.v1.subscriptions.retrieve(live.id, {"expand": ["latest_invoice"]})
    item, invoice = renewed["items"].data[0], renewed.latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert (item.id, item.current_period_start) == (old.id, old.current_period_end)
    assert (invoice.status, invoice.billing_reason, invoice.created) == (
        "paid",
        "subscription_cycle",
        old.current_period_end,
    )
    assert (invoice.period_start, invoice.period_end) == (old.current_period_start, old.current_period_end)
    assert invoice.lines.data[0].period.end == item.current_period_end
    assert _types(client, last) == [
        "invoice.created",
        "customer.subscription.updated",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_a_year_in_one_step_bills_every_month_at_its_own_time(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    anchor = live.billing_cycle_anchor
    controls.post("clock/advance", to=boundary(anchor, "month", 1, 12))
    invoices = list(reversed(client.v1.invoices.list({"subscription": live.id, "limit": 100}).data))
    assert [invoice.created for invoice in invoices] == [boundary(anchor, "month", 1, n) for n in range(13)]
    assert {invoice.status for invoice in invoices} == {"paid"}
    numbers = [str(invoice.number).partition("-")[2] for invoice in invoices]
    assert numbers == [f"{number:04d}" for number in range(1, 14)]


def test_a_failed_renewal_is_past_due_retried_and_at_last_canceled(
    client: stripe.StripeClient, browser: Browser, controls: Controls
) -> None:
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4000000000000341")
    live = client.v1.subscriptions.list().data[0]
    assert live.status == "active"
    end = live["items"].data[0].current_period_end
    last = client.v1.events.list().data[0].id
    controls.post("clock/advance", to=end)
    assert client.v1.subscriptions.retrieve(live.id).status == "past_due"
    assert _types(client, last) == [
        "invoice.created",
        "customer.subscription.updated",
        "invoice.finalized",
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.payment_failed",
        "customer.subscription.updated",
    ]
    invoice = client.v1.invoices.list({"subscription": live.id}).data[0]
    assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("open", 1, end + 3 * DAY)
    controls.post("clock/advance", to=end + 15 * DAY)
    ended = client.v1.subscriptions.retrieve(live.id)
    assert (ended.status, ended.ended_at) == ("canceled", end + 15 * DAY)
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    invoice = client.v1.invoices.retrieve(invoice.id)
    assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("open", 4, None)


def test_a_past_due_subscription_recovers_when_its_invoice_is_paid(
    client: stripe.StripeClient, browser: Browser, controls: Controls
) -> None:
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4000000000000341")
    live = client.v1.subscriptions.list().data[0]
    controls.post("clock/advance", to=live["items"].data[0].current_period_end)
    invoice = client.v1.invoices.list({"subscription": live.id}).data[0]
    with pytest.raises(stripe.CardError, match="Your card was declined"):
        client.v1.invoices.pay(invoice.id, {"off_session": True})
    good = client.v1.payment_methods.attach("pm_card_visa", {"customer": str(live.customer)})
    assert client.v1.invoices.pay(invoice.id, {"payment_method": good.id}).status == "paid"
    assert client.v1.subscriptions.retrieve(live.id).status == "active"
    with pytest.raises(stripe.InvalidRequestError, match="Invoice is already paid"):
        client.v1.invoices.pay(invoice.id)


def test_canceling_at_the_periods_end_ends_then_and_can_be_taken_back(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    end = live["items"].data[0].current_period_end
    marked = client.v1.subscriptions.update(live.id, {"cancel_at_period_end": True})
    assert (marked.cancel_at_period_end, marked.cancel_at, marked.status) == (True, end, "active")
    assert client.v1.subscriptions.update(live.id, {"cancel_at_period_end": False}).cancel_at is None
    client.v1.subscriptions.update(live.id, {"cancel_at_period_end": True})
    controls.post("clock/advance", to=end)
    ended = client.v1.subscriptions.retrieve(live.id)
    assert (ended.status, ended.ended_at) == ("canceled", end)
    assert client.v1.events.list().data[0].type == "customer.subscription.deleted"
    assert len(client.v1.invoices.list({"subscription": live.id}).data) == 1


def test_canceling_now_ends_now_and_bills_nothing_more(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    assert client.v1.subscriptions.cancel(live.id).status == "canceled"
    assert client.v1.subscriptions.list({"customer": str(live.customer)}).data == []
    assert len(client.v1.subscriptions.list({"customer": str(live.customer), "status": "all"}).data) == 1
    controls.post("clock/advance", seconds=40 * DAY)
    assert len(client.v1.invoices.list().data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        client.v1.subscriptions.cancel(live.id)


def test_an_upgrade_halfway_is_prorated_to_the_second(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    item = live["items"].data[0]
    middle = (item.current_period_start + item.current_period_end) // 2
    controls.post("clock/advance", to=middle)
    plus = starter_price(client, amount=2900)
    changed = client.v1.subscriptions.update(
        live.id,
        {
            "items": [{"id": item.id, "price": plus.id}],
            "proration_behavior": "always_invoice",
            "proration_date": middle,
            "expand": ["latest_invoice"],
        },
    )
    invoice = changed.latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert [line.amount for line in invoice.lines.data] == [-450, 1450]
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 1000, "subscription_update")
    assert changed["items"].data[0].current_period_end == item.current_period_end
    assert changed["items"].data[0].id == item.id


def test_a_proration_waits_for_the_next_invoice_unless_told_otherwise(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    item = live["items"].data[0]
    middle = (item.current_period_start + item.current_period_end) // 2
    controls.post("clock/advance", to=middle)
    plus = starter_price(client, amount=2900)
    client.v1.subscriptions.update(live.id, {"items": [{"id": item.id, "price": plus.id}], "proration_date": middle})
    assert len(client.v1.invoices.list().data) == 1
    controls.post("clock/advance", to=item.current_period_end)
    assert [line.amount for line in client.v1.invoices.list().data[0].lines.data] == [-450, 1450, 2900]


def test_another_interval_begins_a_new_period_at_once(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
) -> None:
    item = live["items"].data[0]
    yearly = starter_price(client, amount=9000, interval="year")
    changed = client.v1.subscriptions.update(live.id, {"items": [{"id": item.id, "price": yearly.id}]})
    period = changed["items"].data[0]
    assert period.current_period_end == boundary(period.current_period_start, "year", 1, 1)
    assert [line.amount for line in client.v1.invoices.list().data[0].lines.data][-1] == 9000


def test_more_credit_than_cost_is_kept_for_the_next_invoice(
    client: stripe.StripeClient, controls: Controls, browser: Browser
) -> None:
    browser.pay(subscribing(client, ada(client).id, starter_price(client, amount=10_000).id), "4242424242424242")
    live = client.v1.subscriptions.list().data[0]
    item = live["items"].data[0]
    small = starter_price(client, amount=1000)
    client.v1.subscriptions.update(
        live.id,
        {
            "items": [{"id": item.id, "price": small.id}],
            "proration_behavior": "always_invoice",
            "proration_date": item.current_period_start,
        },
    )
    credit = client.v1.invoices.list().data[0]
    assert (credit.total, credit.amount_due, credit.status, credit.ending_balance) == (-9000, 0, "paid", -9000)
    controls.post("clock/advance", to=item.current_period_end)
    following = client.v1.invoices.list().data[0]
    assert (following.total, following.starting_balance, following.amount_due) == (1000, -9000, 0)
    assert client.v1.customers.retrieve(str(live.customer)).balance == -8000


def test_a_subscription_by_the_api_needs_a_card(client: stripe.StripeClient) -> None:
    customer, price = ada(client), starter_price(client)
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    with pytest.raises(stripe.CardError, match="Your card was declined"):
        client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    made = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
    )
    assert made.status == "active"


def test_an_incomplete_subscription_expires_after_23_hours(client: stripe.StripeClient, controls: Controls) -> None:
    customer, price = ada(client), starter_price(client)
    card = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    made = client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    assert made.status == "incomplete"
    controls.post("clock/advance", seconds=23 * 3600 + 1)
    assert client.v1.subscriptions.retrieve(made.id).status == "incomplete_expired"
    assert client.v1.invoices.list().data[0].status == "void"


class TestLikeStripe:
    """With Stripe's own pause between a renewal and its payment."""

    @pytest.fixture
    def config(self) -> Config:
        """An hour between draft and payment."""
        return Config(port=0, finalize_after_seconds=3600)

    def test_a_renewals_invoice_is_a_draft_for_an_hour(
        self, client: stripe.StripeClient, controls: Controls, live: stripe.Subscription
    ) -> None:
        end = live["items"].data[0].current_period_end
        controls.post("clock/advance", to=end)
        assert client.v1.invoices.list().data[0].status == "draft"
        assert client.v1.subscriptions.retrieve(live.id).status == "active"
        controls.post("clock/advance", to=end + 3600)
        assert client.v1.invoices.list().data[0].status == "paid"


def test_the_clock_moves_forward_only(controls: Controls) -> None:
    now = controls.get("clock")["now"]
    assert abs(now - calendar.timegm(time.gmtime())) <= 1
    assert controls.post("clock/advance", seconds=-1)["error"]["message"].startswith("The clock only moves forward")
    assert controls.post("clock/advance", seconds=100)["now"] - now in (100, 101)
