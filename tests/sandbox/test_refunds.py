"""Money that goes back: refunds by the shop, and disputes by the card's owner."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import Browser, Controls, ada, starter_price, subscribing


def _paid(client: stripe.StripeClient, card: str = "pm_card_visa", amount: int = 2500) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(
        {"amount": amount, "currency": "usd", "customer": ada(client).id, "payment_method": card, "confirm": True}
    )


def _types(client: stripe.StripeClient, since: str) -> list[str]:
    return [event.type for event in reversed(client.v1.events.list({"limit": 100, "ending_before": since}).data)]


def test_a_payment_is_given_back_in_part_and_then_whole(client: stripe.StripeClient) -> None:
    intent = _paid(client)
    last = client.v1.events.list().data[0].id
    first = client.v1.refunds.create(
        {
            "payment_intent": intent.id,
            "amount": 1000,
            "reason": "requested_by_customer",
            "metadata": {"ticket": "7"},
            "expand": ["charge"],
        }
    )
    assert problems(first.to_dict()) == []
    assert (first.status, first.amount, first.currency) == ("succeeded", 1000, "usd")
    assert isinstance(first.charge, stripe.Charge)
    assert (first.charge.amount_refunded, first.charge.refunded) == (1000, False)
    rest = client.v1.refunds.create({"charge": first.charge.id})
    assert (rest.amount, rest.reason) == (1500, None)
    charge = client.v1.charges.retrieve(first.charge.id, {"expand": ["refunds"]})
    assert problems(charge.to_dict()) == []
    assert (charge.amount_refunded, charge.refunded) == (2500, True)
    assert charge.refunds is not None
    assert [refund.id for refund in charge.refunds.data] == [rest.id, first.id]
    assert _types(client, last) == ["refund.created", "charge.refunded"] * 2
    told = client.v1.events.list({"type": "charge.refunded"}).data[0]
    assert told.to_dict()["data"]["previous_attributes"] == {"amount_refunded": 1000, "refunded": False}


def test_refunds_are_found_by_their_payment(client: stripe.StripeClient) -> None:
    one, other = _paid(client), _paid(client)
    refund = client.v1.refunds.create({"payment_intent": one.id})
    client.v1.refunds.create({"payment_intent": other.id})
    assert [r.id for r in client.v1.refunds.list({"payment_intent": one.id}).data] == [refund.id]
    assert [r.id for r in client.v1.refunds.list({"charge": str(one.latest_charge)}).data] == [refund.id]
    assert len(client.v1.refunds.list().data) == 2
    changed = client.v1.refunds.update(refund.id, {"metadata": {"ticket": "8"}})
    assert client.v1.refunds.retrieve(refund.id).metadata == changed.metadata
    assert client.v1.events.list().data[0].type == "refund.updated"
    with pytest.raises(stripe.InvalidRequestError, match="No such refund: 're_x'"):
        client.v1.refunds.retrieve("re_x")


def test_no_more_goes_back_than_came(client: stripe.StripeClient) -> None:
    intent = _paid(client)
    charge = str(intent.latest_charge)
    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$25.01\) is greater than charge amount \(\$25.00\)"):
        client.v1.refunds.create({"charge": charge, "amount": 2501})
    client.v1.refunds.create({"charge": charge, "amount": 400})
    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$25.00\) is greater than unrefunded amount on charge"):
        client.v1.refunds.create({"charge": charge, "amount": 2500})
    with pytest.raises(stripe.InvalidRequestError, match="Invalid positive integer"):
        client.v1.refunds.create({"charge": charge, "amount": 0})
    client.v1.refunds.create({"charge": charge})
    with pytest.raises(stripe.InvalidRequestError, match=f"Charge {charge} has already been refunded") as caught:
        client.v1.refunds.create({"charge": charge})
    assert caught.value.code == "charge_already_refunded"


def test_only_a_payment_that_succeeded_is_refunded(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge to refund"):
        client.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"})
    failed = client.v1.charges.list({"payment_intent": intent.id}).data[0]
    with pytest.raises(stripe.InvalidRequestError, match="cannot be refunded"):
        client.v1.refunds.create({"charge": failed.id})
    with pytest.raises(stripe.InvalidRequestError, match="payment_intent or charge"):
        client.v1.refunds.create({"amount": 100})
    with pytest.raises(stripe.InvalidRequestError, match="does not belong to the PaymentIntent"):
        client.v1.refunds.create({"charge": str(_paid(client).latest_charge), "payment_intent": intent.id})


def test_a_subscribers_first_payment_can_be_refunded(client: stripe.StripeClient, browser: Browser) -> None:
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4242424242424242")
    charge = client.v1.charges.list().data[0]
    assert client.v1.refunds.create({"charge": charge.id}).amount == 900
    assert client.v1.subscriptions.list().data[0].status == "active"


def test_a_disputing_card_takes_its_payment_back(client: stripe.StripeClient) -> None:
    ada(client)
    since = client.v1.events.list().data[0].id
    intent = _paid(client, "pm_card_createDispute")
    dispute = client.v1.disputes.list({"payment_intent": intent.id}).data[0]
    assert problems(dispute.to_dict()) == []
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 2500)
    assert [(moved.amount, moved.fee, moved.net) for moved in dispute.balance_transactions] == [(-2500, 1500, -4000)]
    assert client.v1.charges.retrieve(str(intent.latest_charge)).disputed is True
    assert _types(client, since)[-4:] == [
        "payment_intent.succeeded",
        "charge.updated",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back; cannot issue a refund") as caught:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"


def test_giving_up_loses_the_dispute(client: stripe.StripeClient) -> None:
    intent = _paid(client, "pm_card_createDisputeProductNotReceived")
    dispute = client.v1.disputes.list({"charge": str(intent.latest_charge)}).data[0]
    assert dispute.reason == "product_not_received"
    assert client.v1.disputes.close(dispute.id).status == "lost"
    closed = client.v1.events.list({"type": "charge.dispute.closed"}).data[0]
    assert (closed.data.object["id"], closed.data.object["status"]) == (dispute.id, "lost")
    with pytest.raises(stripe.InvalidRequestError, match="This dispute is already closed"):
        client.v1.disputes.close(dispute.id)


@pytest.mark.parametrize(("words", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
def test_evidence_decides_as_in_stripes_test_mode(client: stripe.StripeClient, words: str, status: str) -> None:
    _paid(client, "pm_card_createDispute")
    dispute = client.v1.disputes.list().data[0]
    kept = client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": words}, "submit": False})
    assert (kept.status, kept.evidence_details.has_evidence) == ("needs_response", True)
    decided = client.v1.disputes.update(dispute.id, {"submit": True, "metadata": {"by": "ada"}})
    assert problems(decided.to_dict()) == []
    assert (decided.status, decided.evidence_details.submission_count) == (status, 1)
    returned = [moved.amount for moved in decided.balance_transactions]
    assert returned == ([-2500, 2500] if status == "won" else [-2500])


def test_any_charge_can_be_disputed_and_decided_by_the_controls(
    client: stripe.StripeClient, controls: Controls, browser: Browser
) -> None:
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4242424242424242")
    charge = client.v1.charges.list().data[0]
    opened = controls.post("disputes", charge=charge.id, reason="duplicate", amount=500)
    assert problems(opened) == []
    assert (opened["amount"], opened["reason"]) == (500, "duplicate")
    assert "cannot be disputed" in controls.post("disputes", charge=charge.id)["error"]["message"]
    assert "Send" in controls.post(f"disputes/{opened['id']}/close", status="maybe")["error"]["message"]
    assert controls.post(f"disputes/{opened['id']}/close", status="won")["status"] == "won"
    assert client.v1.disputes.retrieve(opened["id"]).status == "won"
    types = [event.type for event in client.v1.events.list({"limit": 2}).data]
    assert types == ["charge.dispute.funds_reinstated", "charge.dispute.closed"]


def test_the_controls_say_what_is_wrong_with_a_dispute(client: stripe.StripeClient, controls: Controls) -> None:
    intent = _paid(client)
    for order, words in (
        ({"charge": "ch_x"}, "no such charge"),
        ({"payment_intent": intent.id, "reason": "mood"}, "No reason 'mood'"),
        ({"payment_intent": intent.id, "amount": 2501}, "between 1 and 2500"),
        ({"payment_intent": intent.id, "amount": "all"}, "Send"),
    ):
        assert words in controls.post("disputes", **order)["error"]["message"]
    assert "no such dispute" in controls.post("disputes/du_x/close", status="won")["error"]["message"]


@pytest.mark.parametrize("event", ["charge.refunded", "charge.dispute.created"])
def test_both_can_be_triggered(controls: Controls, event: str) -> None:
    assert len(controls.post("trigger", event=event)["matched"]) == 1


def test_the_modes_share_no_refunds(client: stripe.StripeClient, controls: Controls) -> None:
    client.v1.refunds.create({"payment_intent": _paid(client).id})
    told = controls.get("events?type=refund.created")["data"][0]
    assert told["livemode"] is False
    assert problems(told["data"]["object"]) == []
