"""Webhook deliveries: signed, retried, remembered, and spoilt on demand."""

from __future__ import annotations

import json

import pytest
import stripe

from tests.sandbox.outside import Controls, Receiver, ada, starter_price
from tollhouse_sandbox.config import API_VERSION


@pytest.fixture
def secret(client: stripe.StripeClient, receiver: Receiver) -> str:
    """The signing secret of an endpoint that wants everything."""
    endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    assert endpoint.secret is not None
    return endpoint.secret


def _names(receiver: Receiver) -> list[str]:
    return [json.loads(heard.payload)["data"]["object"]["name"] for heard in receiver.heard]


def _make(client: stripe.StripeClient, *names: str) -> None:
    for name in names:
        client.v1.customers.create({"name": name})


def test_every_event_arrives_once_signed_and_in_order(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver, secret: str
) -> None:
    _make(client, "a", "b", "c")
    controls.settle()
    events = receiver.events(secret)
    assert [event.data.object["name"] for event in events] == ["a", "b", "c"]
    assert {event.api_version for event in events} == {API_VERSION}
    fetched = client.v1.events.retrieve(events[0].id)
    assert fetched.pending_webhooks == 0
    assert [d["status"] for d in controls.get("deliveries")["data"]] == ["succeeded"] * 3


def test_another_secret_does_not_verify(client: stripe.StripeClient, receiver: Receiver, secret: str) -> None:
    _make(client, "a")
    heard = receiver.wait_for(1)[0]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(heard.payload, heard.signature, secret + "x")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(heard.payload + b" ", heard.signature, secret)


def test_a_signature_verifies_after_the_clock_has_moved(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver, secret: str
) -> None:
    controls.post("clock/advance", seconds=40 * 86_400)
    _make(client, "later")
    receiver.wait_for(1)
    assert receiver.events(secret)[0].created >= controls.get("clock")["now"] - 5


def test_an_endpoint_hears_only_what_it_wants_and_only_while_enabled(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver
) -> None:
    endpoint = client.v1.webhook_endpoints.create(
        {"url": receiver.url, "enabled_events": ["price.created", "product.created"], "api_version": "2024-06-20"}
    )
    _make(client, "unheard")
    starter_price(client)
    controls.settle()
    assert receiver.types() == ["product.created", "price.created"]
    assert json.loads(receiver.heard[0].payload)["api_version"] == "2024-06-20"
    assert "secret" not in client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    assert client.v1.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    starter_price(client, amount=100)
    client.v1.webhook_endpoints.delete(endpoint.id)
    controls.settle()
    assert len(receiver.heard) == 2


def test_a_failed_delivery_is_tried_again_and_given_up_at_last(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver, secret: str
) -> None:
    receiver.answers = [500, 404]
    _make(client, "patient")
    receiver.wait_for(3)
    controls.settle()
    delivery = controls.get("deliveries")["data"][0]
    assert delivery["status"] == "succeeded"
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [500, 404, 200]
    receiver.answers = [500, 500, 500]
    _make(client, "hopeless")
    receiver.wait_for(6)
    controls.settle()
    failed = controls.get("deliveries")["data"][0]
    assert (failed["status"], len(failed["attempts"])) == ("failed", 3)
    assert client.v1.events.list({"delivery_success": False}).data[0].id == failed["event"]
    assert {event.id for event in receiver.events(secret)} >= {failed["event"]}


def test_a_closed_port_is_told_in_the_attempt(client: stripe.StripeClient, controls: Controls) -> None:
    client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    _make(client, "a")
    controls.settle()
    attempt = controls.get("deliveries")["data"][0]["attempts"][0]
    assert attempt["status_code"] is None
    assert "127.0.0.1" in attempt["error"]


@pytest.mark.usefixtures("secret")
def test_deliveries_are_dropped_by_number_or_by_type(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver
) -> None:
    controls.post("faults", drop=2)
    _make(client, "a", "b", "c")
    controls.settle()
    assert _names(receiver) == ["c"]
    controls.post("faults", drop="product.*")
    starter_price(client)
    controls.settle()
    assert receiver.types()[1:] == ["plan.created", "price.created"]
    dropped = controls.get("deliveries?status=dropped")["data"]
    assert [delivery["type"] for delivery in dropped] == ["product.created", "customer.created", "customer.created"]
    controls.post(f"deliveries/{dropped[-1]['id']}/resend")
    controls.settle()
    assert json.loads(receiver.heard[-1].payload)["data"]["object"]["name"] == "a"


@pytest.mark.usefixtures("secret")
def test_deliveries_are_doubled_with_the_same_event(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver
) -> None:
    controls.post("faults", double=True)
    _make(client, "twice")
    receiver.wait_for(2)
    assert len({json.loads(heard.payload)["id"] for heard in receiver.heard}) == 1


@pytest.mark.usefixtures("secret")
def test_deliveries_are_held_and_released_in_a_chosen_order(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver
) -> None:
    controls.post("faults", hold=True)
    _make(client, "a", "b", "c")
    controls.settle()
    assert receiver.heard == []
    held = [delivery["id"] for delivery in controls.get("deliveries?status=held")["data"]][::-1]
    controls.post("deliveries/release", order=[held[1]])
    controls.settle()
    assert _names(receiver) == ["b"]
    assert controls.delete("faults")["hold"] is False
    controls.post("deliveries/release", order="reverse")
    controls.settle()
    assert _names(receiver) == ["b", "c", "a"]


@pytest.mark.usefixtures("secret")
def test_deliveries_are_reordered(client: stripe.StripeClient, controls: Controls, receiver: Receiver) -> None:
    controls.post("faults", reorder=True)
    starter_price(client)
    controls.settle()
    assert receiver.types() == ["price.created", "plan.created", "product.created"]


@pytest.mark.usefixtures("secret")
def test_an_event_is_resent_to_every_endpoint(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver
) -> None:
    _make(client, "a")
    controls.settle()
    event = client.v1.events.list().data[0]
    client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    assert len(controls.post(f"events/{event.id}/resend")["deliveries"]) == 2
    controls.settle()
    assert _names(receiver) == ["a", "a", "a"]


def test_faults_that_do_not_exist_are_refused(controls: Controls) -> None:
    answer = controls.post("faults", explode=True)
    assert "Known: drop, double, delay_ms, reorder, hold" in answer["error"]["message"]
    assert controls.get("faults")["drop"] == 0


@pytest.mark.parametrize(
    "event",
    [
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "invoice.payment_succeeded",
        "invoice.payment_failed",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "setup_intent.succeeded",
    ],
)
def test_a_trigger_builds_the_real_objects_for_a_customer(
    client: stripe.StripeClient, controls: Controls, receiver: Receiver, secret: str, event: str
) -> None:
    customer, price = ada(client), starter_price(client)
    answer = controls.post("trigger", event=event, customer=customer.id, lookup_key=price.lookup_key)
    controls.settle()
    heard = {each.id: each for each in receiver.events(secret)}
    matched = heard[answer["matched"][-1]]
    assert matched.type == event
    assert matched.data.object["customer"] == customer.id
    assert set(answer["ids"]) <= heard.keys()
    subject = matched.data.object
    if subject["object"] == "subscription":
        assert client.v1.subscriptions.retrieve(subject["id"]).customer == customer.id
    elif subject["object"] == "invoice":
        assert client.v1.invoices.retrieve(subject["id"]).customer == customer.id


def test_triggers_act_on_the_customers_live_subscription(client: stripe.StripeClient, controls: Controls) -> None:
    customer, price = ada(client), starter_price(client)

    def trigger(event: str) -> stripe.Subscription:
        controls.post("trigger", event=event, customer=customer.id, price=price.id)
        subscriptions = client.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data
        assert len(subscriptions) == 1
        return subscriptions[0]

    assert trigger("customer.subscription.created").status == "active"
    assert trigger("invoice.payment_failed").status == "past_due"
    assert trigger("invoice.payment_succeeded").status == "active"
    assert trigger("customer.subscription.deleted").status == "canceled"


def test_a_trigger_for_nobody_is_refused(controls: Controls) -> None:
    assert "No such customer" in controls.post("trigger", event="invoice.paid", customer="cus_x")["error"]["message"]
    assert "No trigger for 'x'" in controls.post("trigger", event="x")["error"]["message"]
