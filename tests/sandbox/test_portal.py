"""The customer portal: another plan now or at the period's end, canceling, a new card, and what a merchant allows."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import Browser, Controls, Page, ada, starter_price, subscribing

BACK = "http://127.0.0.1:9/app/billing"
TYPED = {"number": "5555555555554444", "expiry": "12 / 40", "cvc": "123", "name": "Ada Lovelace"}


class Portal:
    """Ada's portal, and what her clicks change."""

    def __init__(self, client: stripe.StripeClient, browser: Browser, customer: str, configuration: str = "") -> None:
        given: stripe.params.billing_portal.SessionCreateParams = {"customer": customer, "return_url": BACK}
        if configuration:
            given["configuration"] = configuration
        self.url = client.v1.billing_portal.sessions.create(given).url
        self.browser = browser

    def open(self, path: str = "") -> str:
        page = self.browser.open(self.url + path)
        assert page.status == 200, page
        return page.text

    def send(self, path: str, **form: str) -> Page:
        page = self.browser.open(f"{self.url}/{path}", form)
        return self.browser.open(urljoin(self.url, page.location)) if page.status == 303 and page.location else page


@pytest.fixture
def live(client: stripe.StripeClient, browser: Browser) -> stripe.Subscription:
    """Ada pays $4 a month."""
    browser.pay(subscribing(client, ada(client).id, starter_price(client, amount=400).id), "4242424242424242")
    return client.v1.subscriptions.list().data[0]


@pytest.fixture
def portal(client: stripe.StripeClient, browser: Browser, live: stripe.Subscription) -> Portal:
    """Her portal, as the default configuration has it."""
    return Portal(client, browser, str(live.customer))


def _price_of(client: stripe.StripeClient, live: stripe.Subscription) -> str:
    return str(client.v1.subscriptions.retrieve(live.id)["items"].data[0].price.id)


def test_it_opens_with_the_plan_its_price_and_the_next_payment(portal: Portal) -> None:
    text = portal.open()
    for shown in (
        "Starter",
        "$4.00</strong> per month",
        "Next payment: $4.00 on",
        "Visa</strong> ending in 4242",
        BACK,
    ):
        assert shown in text
    assert re.search(r'<a href="/invoice/in_\w+">', text)
    assert portal.browser.open("/portal/guessed").status == 404


def test_an_upgrade_is_shown_before_it_is_paid_and_paid_at_once(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription, portal: Portal
) -> None:
    item = live["items"].data[0]
    plus = starter_price(client, amount=2900)
    controls.post("clock/advance", to=(item.current_period_start + item.current_period_end) // 2)
    assert f"price={plus.id}" in portal.open(f"/update/{live.id}")
    assert re.search(r"Pay \$12\.50 and change", portal.open(f"/confirm/{live.id}?price={plus.id}"))
    assert "Your plan has been changed." in portal.send(f"confirm/{live.id}", price=plus.id).text
    changed = client.v1.subscriptions.retrieve(live.id, {"expand": ["latest_invoice"]})
    assert isinstance(changed.latest_invoice, stripe.Invoice)
    assert (changed.latest_invoice.status, changed.latest_invoice.amount_paid) == ("paid", 1250)
    assert (_price_of(client, live), changed.schedule) == (plus.id, None)
    assert changed["items"].data[0].current_period_end == item.current_period_end


def test_a_yearly_price_begins_its_year_at_once_and_credits_the_month(
    client: stripe.StripeClient, live: stripe.Subscription, portal: Portal
) -> None:
    yearly = starter_price(client, amount=3000, interval="year")
    portal.send(f"confirm/{live.id}", price=yearly.id)
    invoice = client.v1.invoices.list().data[0]
    assert [line.amount for line in invoice.lines.data][-1] == 3000
    assert invoice.lines.data[0].amount < 0
    assert invoice.amount_paid == sum(line.amount for line in invoice.lines.data)
    assert "$30.00</strong> per year" in portal.open()


@pytest.mark.parametrize(("amount", "interval"), [(200, "month"), (100, "week")])
def test_a_downgrade_waits_for_the_end_of_the_period(
    client: stripe.StripeClient,
    controls: Controls,
    live: stripe.Subscription,
    portal: Portal,
    amount: int,
    interval: str,
) -> None:
    item = live["items"].data[0]
    small = starter_price(client, amount=amount, interval=interval)
    assert "Your plan will change" in portal.send(f"confirm/{live.id}", price=small.id).text
    waiting = client.v1.subscriptions.retrieve(live.id, {"expand": ["schedule.phases.items.price"]})
    assert isinstance(waiting.schedule, stripe.SubscriptionSchedule)
    assert problems(client.v1.subscription_schedules.retrieve(waiting.schedule.id).to_dict()) == []
    assert _price_of(client, live) == item.price.id
    last = waiting.schedule.phases[-1]
    assert isinstance(last["items"][0].price, stripe.Price)
    assert (last.start_date, last["items"][0].price.id) == (item.current_period_end, small.id)
    assert len(client.v1.invoices.list().data) == 1
    assert f"Next payment: ${amount / 100:.2f}" in portal.open()
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        client.v1.subscriptions.update(live.id, {"cancel_at_period_end": True})
    controls.post("clock/advance", to=item.current_period_end)
    changed = client.v1.subscriptions.retrieve(live.id)
    assert (_price_of(client, live), changed.schedule) == (small.id, None)
    assert client.v1.invoices.list().data[0].amount_paid == amount
    if interval == "week":
        assert changed["items"].data[0].current_period_end == item.current_period_end + 7 * 86_400
    assert client.v1.subscription_schedules.list().data[0].status == "released"


def test_a_scheduled_change_can_be_taken_back_or_overtaken(
    client: stripe.StripeClient, live: stripe.Subscription, portal: Portal
) -> None:
    small, plus = starter_price(client, amount=200), starter_price(client, amount=2900)
    portal.send(f"confirm/{live.id}", price=small.id)
    assert "Your plan stays as it is." in portal.send(f"keep/{live.id}").text
    assert client.v1.subscriptions.retrieve(live.id).schedule is None
    portal.send(f"confirm/{live.id}", price=small.id)
    portal.send(f"confirm/{live.id}", price=plus.id)
    assert (client.v1.subscriptions.retrieve(live.id).schedule, _price_of(client, live)) == (None, plus.id)
    portal.send(f"confirm/{live.id}", price=small.id)
    portal.send(f"cancel/{live.id}")
    ending = client.v1.subscriptions.retrieve(live.id)
    assert (ending.schedule, ending.cancel_at_period_end) == (None, True)


def test_it_cancels_at_the_periods_end_and_resumes(
    client: stripe.StripeClient, live: stripe.Subscription, portal: Portal
) -> None:
    assert "You keep the plan until" in portal.open(f"/cancel/{live.id}")
    assert "Ends on" in portal.send(f"cancel/{live.id}").text
    ending = client.v1.subscriptions.retrieve(live.id)
    assert (ending.status, ending.cancel_at) == ("active", live["items"].data[0].current_period_end)
    assert portal.browser.open(f"{portal.url}/update/{live.id}").status == 303
    assert "Next payment" in portal.send(f"resume/{live.id}").text
    assert client.v1.subscriptions.retrieve(live.id).cancel_at is None


def test_a_new_card_pays_from_then_on(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription, portal: Portal
) -> None:
    refused = portal.send("card", **{**TYPED, "number": "4000000000000002"})
    assert refused.status == 402
    assert "Your card was declined." in refused.text
    assert "expires 12 / 2040" in portal.send("card", **TYPED).text
    controls.post("clock/advance", to=live["items"].data[0].current_period_end)
    charge = client.v1.charges.list().data[0]
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "4444"


def test_a_card_that_asks_for_its_owner_is_used_once_he_has_answered(
    client: stripe.StripeClient, live: stripe.Subscription, portal: Portal
) -> None:
    for answer, shown in (("fail", "We are unable to authenticate"), ("complete", "ending in 3155")):
        bank = portal.browser.open(f"{portal.url}/card", {**TYPED, "number": "4000002500003155"}).location
        assert bank is not None
        back = portal.browser.open(bank, {"answer": answer}).location
        page = portal.browser.open(str(back))
        assert shown in (portal.open() if page.status == 303 else page.text)
    method = client.v1.subscriptions.retrieve(live.id).default_payment_method
    assert method == client.v1.customers.retrieve(str(live.customer))["invoice_settings"].default_payment_method


def test_an_upgrade_that_the_card_does_not_pay_changes_nothing(client: stripe.StripeClient, browser: Browser) -> None:
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4000000000000341")
    live = client.v1.subscriptions.list().data[0]
    plus = starter_price(client, amount=2900)
    page = Portal(client, browser, str(live.customer)).send(f"confirm/{live.id}", price=plus.id)
    assert page.status == 402
    assert "The plan has not been changed." in page.text
    assert (_price_of(client, live), len(client.v1.invoices.list().data)) == (live["items"].data[0].price.id, 1)


def test_an_open_invoice_is_paid_on_its_page(client: stripe.StripeClient, browser: Browser, controls: Controls) -> None:
    browser.pay(subscribing(client, ada(client).id, starter_price(client).id), "4000000000000341")
    live = client.v1.subscriptions.list().data[0]
    controls.post("clock/advance", to=live["items"].data[0].current_period_end)
    assert "Past due" in Portal(client, browser, str(live.customer)).open()
    invoice = client.v1.invoices.list().data[0]
    assert invoice.hosted_invoice_url is not None
    assert browser.open(invoice.hosted_invoice_url, {**TYPED, "number": "4000000000009995"}).status == 402
    asks = browser.open(invoice.hosted_invoice_url, {**TYPED, "number": "4000002760003184"}).location
    assert browser.open(str(asks), {"answer": "complete"}).location == invoice.hosted_invoice_url
    assert client.v1.invoices.retrieve(invoice.id).status == "paid"
    assert client.v1.subscriptions.retrieve(live.id).status == "active"


def test_a_configuration_says_what_may_be_done(
    client: stripe.StripeClient, browser: Browser, live: stripe.Subscription
) -> None:
    plus, other = starter_price(client, amount=2900), starter_price(client, amount=100)
    made = client.v1.billing_portal.configurations.create(
        {
            "default_return_url": BACK,
            "features": {
                "subscription_update": {
                    "enabled": True,
                    "default_allowed_updates": ["price"],
                    "products": [
                        {"product": str(plus.product), "prices": [plus.id]},
                        {"product": str(other.product), "prices": [other.id]},
                    ],
                }
            },
        }
    )
    assert problems(made.to_dict()) == []
    portal = Portal(client, browser, str(live.customer), made.id)
    text = portal.open()
    for absent in ("Cancel plan", "Replace card", "Invoices"):
        assert absent not in text
    assert browser.open(f"{portal.url}/card").status == 404
    portal.send(f"cancel/{live.id}")
    assert client.v1.subscriptions.retrieve(live.id).cancel_at is None
    assert portal.open(f"/update/{live.id}").count("Select") == 2
    portal.send(f"confirm/{live.id}", price=other.id)
    assert _price_of(client, live) == other.id  # no condition: a downgrade is not scheduled
    assert len(client.v1.invoices.list().data) == 1  # prorations 'none'
    client.v1.billing_portal.configurations.update(
        made.id,
        {"features": {"subscription_cancel": {"enabled": True, "mode": "immediately"}}, "metadata": {"for": "ada"}},
    )
    again = client.v1.billing_portal.configurations.retrieve(made.id)
    assert again.features.subscription_update.enabled is True
    portal.send(f"cancel/{live.id}")
    assert client.v1.subscriptions.retrieve(live.id).status == "canceled"
    default = client.v1.billing_portal.configurations.list({"is_default": True}).data
    assert [problems(each.to_dict()) for each in default] == [[]]
    with pytest.raises(stripe.InvalidRequestError, match="No such price"):
        client.v1.billing_portal.configurations.update(
            made.id,
            {"features": {"subscription_update": {"products": [{"product": str(plus.product), "prices": [other.id]}]}}},
        )


def test_a_flow_goes_straight_to_its_step_and_back_where_it_says(
    client: stripe.StripeClient, browser: Browser, live: stripe.Subscription
) -> None:
    yearly = starter_price(client, amount=3000, interval="year")
    after: stripe.params.billing_portal.SessionCreateParamsFlowDataAfterCompletion = {
        "type": "redirect",
        "redirect": {"return_url": BACK + "?done=1"},
    }
    updating = client.v1.billing_portal.sessions.create(
        {
            "customer": str(live.customer),
            "flow_data": {
                "type": "subscription_update",
                "subscription_update": {"subscription": live.id},
                "after_completion": after,
            },
        }
    )
    assert problems(updating.to_dict()) == []
    step = str(browser.open(updating.url).location)
    assert step.endswith(f"/update/{live.id}")
    done = browser.open(step.replace("/update/", "/confirm/"), {"price": yearly.id})
    assert (done.location, _price_of(client, live)) == (BACK + "?done=1", yearly.id)
    canceling = client.v1.billing_portal.sessions.create(
        {
            "customer": str(live.customer),
            "flow_data": {
                "type": "subscription_cancel",
                "subscription_cancel": {"subscription": live.id},
                "after_completion": {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "Bye."}},
            },
        }
    )
    assert "Bye." in browser.open(str(browser.open(canceling.url).location), {}).text
    with pytest.raises(stripe.InvalidRequestError, match="flow_data"):
        client.v1.billing_portal.sessions.create(
            {"customer": str(live.customer), "flow_data": {"type": "subscription_update"}}
        )
