"""Test clocks: customers whose time stands still until it is moved, whatever the rest of the sandbox does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.conftest import KEY
from tests.sandbox.outside import Browser, Controls, Receiver, starter_price, subscribing
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running_in_thread

START = 1_893_456_000  # 2030-01-01
FEBRUARY, MARCH, APRIL = START + 31 * 86_400, START + 59 * 86_400, START + 90 * 86_400


def clock_at(client: stripe.StripeClient, moment: int = START) -> str:
    return client.v1.test_helpers.test_clocks.create({"frozen_time": moment, "name": "a year"}).id


def payer(client: stripe.StripeClient, clock: str) -> stripe.Customer:
    """Somebody on the clock whose card pays."""
    given: Any = {
        "test_clock": clock, "email": "ada@example.com", "payment_method": "pm_card_visa",
        "invoice_settings": {"default_payment_method": "pm_card_visa"},
    }  # fmt: skip
    return client.v1.customers.create(given)


def subscribed(client: stripe.StripeClient, customer: stripe.Customer, **more: Any) -> stripe.Subscription:
    given: Any = {"customer": customer.id, "items": [{"price": starter_price(client).id}], **more}
    return client.v1.subscriptions.create(given)


def advance(client: stripe.StripeClient, clock: str, moment: int) -> None:
    sent = client.v1.test_helpers.test_clocks.advance(clock, {"frozen_time": moment})
    assert (sent.status, sent.frozen_time < moment) == ("advancing", True)
    assert sent.status_details.advancing is not None
    assert sent.status_details.advancing.target_frozen_time == moment
    there = client.v1.test_helpers.test_clocks.retrieve(clock)
    assert (there.status, there.frozen_time) == ("ready", moment)


def periods(client: stripe.StripeClient, subscription: stripe.Subscription) -> list[tuple[int, str | None]]:
    found = client.v1.invoices.list({"subscription": subscription.id}).data
    return [(invoice.lines.data[0].period.start, invoice.status) for invoice in reversed(found)]


def test_a_clock_is_made_read_listed_and_deleted(client: stripe.StripeClient) -> None:
    clock = clock_at(client)
    sent = json.loads(client.raw_request("get", f"/v1/test_helpers/test_clocks/{clock}").body)
    assert problems(sent) == []
    assert (sent["status"], sent["frozen_time"], sent["name"]) == ("ready", START, "a year")
    assert sent["deletes_after"] - sent["created"] == 7 * 86_400
    assert [found.id for found in client.v1.test_helpers.test_clocks.list().data] == [clock]
    assert client.v1.test_helpers.test_clocks.delete(clock).deleted is True
    with pytest.raises(stripe.InvalidRequestError, match="No such testclock"):
        client.v1.test_helpers.test_clocks.retrieve(clock)
    told = [event.type for event in reversed(client.v1.events.list().data)]
    assert told == ["test_helpers.test_clock.created", "test_helpers.test_clock.deleted"]


def test_its_customers_renew_by_it_and_nobody_else_does(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver
) -> None:
    client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["test_helpers.test_clock.ready"]})
    clock = clock_at(client)
    ada = payer(client, clock)
    assert (ada.created, ada.test_clock) == (START, clock)
    live = subscribed(client, ada)
    assert (live.created, live.test_clock, live["items"].data[0].current_period_end) == (START, clock, FEBRUARY)

    controls.post("clock/advance", seconds=5 * 86_400)
    assert periods(client, live) == [(START, "paid")]
    advance(client, clock, FEBRUARY + 3600)

    assert periods(client, live) == [(START, "paid"), (FEBRUARY, "paid")]
    newest = client.v1.invoices.list({"subscription": live.id}).data[0]
    assert (newest.created, newest.test_clock) == (FEBRUARY, clock)
    assert newest.status_transitions.paid_at == FEBRUARY
    advance(client, clock, MARCH)
    assert periods(client, live)[-1] == (MARCH, "paid")
    assert len(receiver.wait_for(2)) == 2
    controls.settle()


def test_what_its_customers_do_is_dated_by_it(client: stripe.StripeClient, browser: Browser) -> None:
    clock = clock_at(client)
    advance(client, clock, START + 1000)
    given: Any = {"test_clock": clock, "email": "ada@example.com"}
    ada = client.v1.customers.create(given)
    session = subscribing(client, ada.id, starter_price(client).id)
    assert (session.created, session.expires_at) == (START + 1000, START + 1000 + 86_400)
    browser.pay(session, "4000000000000341")
    live = client.v1.subscriptions.list({"customer": ada.id}).data[0]
    assert (live.created, live.status) == (START + 1000, "active")
    client.v1.subscriptions.update(live.id, {"cancel_at_period_end": True})
    assert client.v1.subscriptions.retrieve(live.id).canceled_at == START + 1000
    advance(client, clock, FEBRUARY + 5000)
    assert client.v1.subscriptions.retrieve(live.id).status == "canceled"


def test_dunning_and_trials_go_by_it(client: stripe.StripeClient) -> None:
    clock = clock_at(client)
    ada = payer(client, clock)
    trial = subscribed(client, ada, trial_period_days=7)
    assert (trial.status, trial.trial_end) == ("trialing", START + 7 * 86_400)
    card = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": ada.id})
    client.v1.subscriptions.update(trial.id, {"default_payment_method": card.id})
    advance(client, clock, START + 8 * 86_400)
    assert client.v1.subscriptions.retrieve(trial.id).status == "past_due"
    advance(client, clock, START + 30 * 86_400)
    assert client.v1.subscriptions.retrieve(trial.id).status == "canceled"


def test_it_goes_forward_only_and_two_intervals_at_once(client: stripe.StripeClient) -> None:
    clock = clock_at(client)
    clocks = client.v1.test_helpers.test_clocks
    for moment, said in (
        (START, "must be after the test clock's current frozen time"),
        (START + 732 * 86_400, "cannot be more than two years in the future"),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=said):
            clocks.advance(clock, {"frozen_time": moment})
    subscribed(client, payer(client, clock))
    with pytest.raises(stripe.InvalidRequestError, match="more than two intervals"):
        clocks.advance(clock, {"frozen_time": MARCH + 1})
    advance(client, clock, MARCH)


def test_it_takes_three_customers_with_three_subscriptions_each(client: stripe.StripeClient) -> None:
    clock = clock_at(client)
    customers = [payer(client, clock) for _ in range(3)]
    with pytest.raises(stripe.InvalidRequestError, match="at most 3 customers"):
        payer(client, clock)
    price: Any = [{"price": starter_price(client).id}]
    for _ in range(3):
        client.v1.subscriptions.create({"customer": customers[0].id, "items": price})
    with pytest.raises(stripe.InvalidRequestError, match="at most 3 subscriptions"):
        client.v1.subscriptions.create({"customer": customers[0].id, "items": price})


def test_lists_leave_its_customers_out_unless_they_are_asked_for(client: stripe.StripeClient) -> None:
    clock = clock_at(client)
    ada = payer(client, clock)
    live = subscribed(client, ada)
    assert client.v1.customers.list().data == []
    assert [found.id for found in client.v1.customers.list({"test_clock": clock}).data] == [ada.id]
    assert client.v1.subscriptions.list().data == []
    for asked in ({"test_clock": clock}, {"customer": ada.id}):
        filtered: Any = asked
        assert [found.id for found in client.v1.subscriptions.list(filtered).data] == [live.id]


def test_its_customers_go_with_it(client: stripe.StripeClient, controls: Controls) -> None:
    clock = clock_at(client)
    ada = payer(client, clock)
    live = subscribed(client, ada)
    controls.post("clock/advance", seconds=7 * 86_400 + 10)
    with pytest.raises(stripe.InvalidRequestError, match="No such testclock"):
        client.v1.test_helpers.test_clocks.retrieve(clock)
    assert client.v1.customers.retrieve(ada.id).to_dict()["deleted"] is True
    assert client.v1.subscriptions.retrieve(live.id).status == "canceled"


def test_it_stands_where_it_stood_after_a_restart(tmp_path: Path) -> None:
    config = Config(port=0, data_file=str(tmp_path / "sandbox.db"))
    with running_in_thread(config) as first:
        client = stripe.StripeClient(KEY, base_addresses={"api": first.url})
        clock = clock_at(client)
        live = subscribed(client, payer(client, clock))
    with running_in_thread(config) as second:
        client = stripe.StripeClient(KEY, base_addresses={"api": second.url})
        assert periods(client, live) == [(START, "paid")]
        advance(client, clock, FEBRUARY)
        assert periods(client, live) == [(START, "paid"), (FEBRUARY, "paid")]
