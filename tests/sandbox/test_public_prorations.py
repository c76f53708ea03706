"""Figures that Stripe's own pages and others have published about prorations, each reproduced to the cent.

Where they name a date, the same day of a later year stands for it: a period of as many seconds.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import Controls, ada

DOCS = "https://docs.stripe.com/billing/subscriptions/prorations"
DAY = 86_400
HALF_OF_APRIL = 15 * DAY


class Shop:
    """Ada, with a card that pays, and prices as they are wanted."""

    def __init__(self, client: stripe.StripeClient, controls: Controls) -> None:
        self.client = client
        self.controls = controls
        self.customer = ada(client).id
        card = client.v1.payment_methods.attach("pm_card_visa", {"customer": self.customer})
        client.v1.customers.update(self.customer, {"invoice_settings": {"default_payment_method": card.id}})

    def stand_on(self, month: int, day: int = 1) -> None:
        """The next time it is that day in a year of 365 days."""
        now = datetime.fromtimestamp(self.controls.get("clock")["now"], UTC)
        year = next(year for year in range(now.year + 1, now.year + 3) if not calendar.isleap(year))
        self.controls.post("clock/advance", to=int(datetime(year, month, day, tzinfo=UTC).timestamp()))

    def price(self, amount: int, currency: str = "usd", every: str = "month") -> str:
        terms: Any = {
            "currency": currency,
            "unit_amount": amount,
            "recurring": {"interval": every},
            "product_data": {"name": f"{amount} by the {every}"},
        }
        return self.client.v1.prices.create(terms).id

    def subscribe(self, price: str, quantity: int = 1) -> stripe.Subscription:
        return self.client.v1.subscriptions.create(
            {"customer": self.customer, "items": [{"price": price, "quantity": quantity}]}
        )

    def preview(self, live: stripe.Subscription, change: dict[str, Any], **details: Any) -> stripe.Invoice:
        item = {"id": live["items"].data[0].id, **change}
        asked: Any = {"subscription": live.id, "subscription_details": {"items": [item], **details}}
        answer = self.client.v1.invoices.create_preview(asked)
        assert problems(answer.to_dict(for_json=True)) == []
        assert (answer.billing_reason, answer.status) == ("upcoming", "draft")
        return answer

    def change(self, live: stripe.Subscription, change: dict[str, Any], **details: Any) -> stripe.Invoice:
        """The newest invoice once it has been changed."""
        asked: Any = {"items": [{"id": live["items"].data[0].id, **change}], **details}
        self.client.v1.subscriptions.update(live.id, asked)
        return self.client.v1.invoices.list({"subscription": live.id, "limit": 1}).data[0]

    def balance(self) -> int:
        return self.client.v1.customers.retrieve(self.customer).balance or 0


@pytest.fixture
def shop(client: stripe.StripeClient, controls: Controls) -> Shop:
    return Shop(client, controls)


def end_of(live: stripe.Subscription) -> int:
    end: int = live["items"].data[0].current_period_end
    return end


def start_of(live: stripe.Subscription) -> int:
    start: int = live["items"].data[0].current_period_start
    return start


def amounts(invoice: stripe.Invoice) -> list[int]:
    return [line.amount for line in invoice.lines.data]


@pytest.mark.parametrize(
    ("currency", "old", "new", "left", "credit", "charge"),
    [
        pytest.param("usd", 1000, 2000, HALF_OF_APRIL, -500, 1000, id=DOCS),
        pytest.param(
            "eur", 100, 300, HALF_OF_APRIL, -50, 150,
            id="https://docs.datacake.de/portal/billing/unused-time-and-remaining-time-in-invoices-prorations",
        ),
        pytest.param(
            "usd", 9900, 24900, 18 * DAY, -5940, 14940, id="https://teamcoby.com/guides/proration-explained-stripe"
        ),
        pytest.param(
            "usd", 24900, 9900, 18 * DAY, -14940, 5940, id="https://teamcoby.com/guides/proration-explained-stripe#down"
        ),
        pytest.param(
            "usd", 2000, 5000, 20 * DAY, -1333, 3333, id="https://subrevival.com/tools/stripe-proration-calculator"
        ),
        pytest.param(
            "eur", 2900, 4900, 16 * DAY, -1547, 2613,
            id="https://taxiteasy.org/help/prorated-billing-when-you-upgrade-mid-month.html",
        ),
    ],
)  # fmt: skip
def test_time_that_is_left_is_credited_at_the_old_price_and_charged_at_the_new(
    shop: Shop, currency: str, old: int, new: int, left: int, credit: int, charge: int
) -> None:
    shop.stand_on(4)  # 30 days
    live = shop.subscribe(shop.price(old, currency))
    change = {"price": shop.price(new, currency)}
    when = {"proration_behavior": "always_invoice", "proration_date": end_of(live) - left}
    foreseen = shop.preview(live, change, **when)
    assert amounts(foreseen) == [credit, charge]
    assert (foreseen.total, foreseen.amount_due) == (credit + charge, max(0, credit + charge))

    billed = shop.change(live, change, **when)
    assert problems(billed.to_dict(for_json=True)) == []
    assert (amounts(billed), billed.total, billed.status) == ([credit, charge], credit + charge, "paid")
    assert shop.balance() == min(0, credit + charge) == foreseen.ending_balance
    assert [line.parent["subscription_item_details"]["proration"] for line in billed.lines.data if line.parent] == [
        True,
        True,
    ]


def test_what_is_not_billed_at_once_comes_with_the_renewal(shop: Shop) -> None:
    """ "If she then switches to a $20 plan on May 15, on June 1 she'll be billed $25": Stripe's page of that time.

    https://stackoverflow.com/questions/19916488/how-does-stripe-s-prorating-work
    """
    shop.stand_on(5)
    live = shop.subscribe(shop.price(1000))
    change, middle = {"price": shop.price(2000)}, (start_of(live) + end_of(live)) // 2
    foreseen = shop.preview(live, change, proration_date=middle)
    shop.controls.post("clock/advance", to=middle)
    first = shop.change(live, change)
    assert (first.billing_reason, first.total) == ("subscription_create", 1000)

    shop.controls.post("clock/advance", to=end_of(live) + 7200)
    renewed = shop.client.v1.invoices.list({"subscription": live.id, "limit": 1}).data[0]
    assert (amounts(renewed), renewed.total, renewed.amount_paid) == ([-500, 1000, 2000], 2500, 2500)
    assert (amounts(foreseen), foreseen.total) == (amounts(renewed), 2500)
    assert (foreseen.period_start, foreseen.period_end) == (renewed.period_start, renewed.period_end)


def test_a_change_at_the_periods_start_counts_whole(shop: Shop) -> None:
    """Stripe's answer of March 2016: a credit of $10, $100 due, and $100 for the next cycle.

    https://groups.google.com/a/lists.stripe.com/g/api-discuss/c/uTg9uWzU7qo
    """
    live = shop.subscribe(shop.price(1000))
    foreseen = shop.preview(live, {"price": shop.price(10_000)}, proration_date=start_of(live))
    assert (amounts(foreseen), foreseen.total) == ([-1000, 10_000, 10_000], 19_000)


def test_a_change_after_two_minutes_rounds_to_whole_prices(shop: Shop) -> None:
    """$20 to $40, 124 seconds after the subscription began. https://gist.github.com/matthewarkin/bb310ee27323ffee7ab8"""
    shop.stand_on(6, 24)
    live = shop.subscribe(shop.price(2000))
    at = {"proration_behavior": "always_invoice", "proration_date": start_of(live) + 124}
    assert amounts(shop.change(live, {"price": shop.price(4000)}, **at)) == [-2000, 4000]


def test_another_interval_credits_what_is_left_and_begins_at_once(shop: Shop) -> None:
    """$10 a month to $100 a year on 3 March 2017 at 19:14:48 UTC, in a period that ends on the 14th.

    https://gist.github.com/matthewarkin/27bcfdf622eb91d3508ea082d0ad50b8
    """
    shop.stand_on(2, 14)
    live = shop.subscribe(shop.price(1000))
    assert end_of(live) - start_of(live) == 28 * DAY
    moment = end_of(live) - (1_489_449_600 - 1_488_568_488)
    shop.controls.post("clock/advance", to=moment)
    change = {"price": shop.price(10_000, every="year")}
    foreseen = shop.preview(live, change, proration_date=moment)
    assert (amounts(foreseen), foreseen.amount_due) == ([-364, 10_000], 9636)
    assert foreseen.lines.data[0].description == f"Unused time on 1000 by the month after 03 Mar {_year(moment)}"

    billed = shop.change(live, change, proration_date=moment)
    assert (amounts(billed), billed.amount_paid) == ([-364, 10_000], 9636)
    begun, end = billed.created, end_of(shop.client.v1.subscriptions.retrieve(live.id))
    assert datetime.fromtimestamp(end, UTC) == datetime.fromtimestamp(begun, UTC).replace(year=_year(begun) + 1)


def test_a_billing_date_that_is_reset_credits_what_is_left_and_begins_a_period(shop: Shop) -> None:
    """ "Reset the billing period to the current time": unused time is credited, a whole period is billed.

    https://docs.stripe.com/billing/subscriptions/billing-cycle
    """
    shop.stand_on(4)
    live = shop.subscribe(shop.price(1000))
    moment = end_of(live) - HALF_OF_APRIL
    shop.controls.post("clock/advance", to=moment)
    now = {"billing_cycle_anchor": "now", "proration_date": moment}
    foreseen = shop.preview(live, {"quantity": 1}, **now)
    billed = shop.change(live, {"quantity": 1}, **now)
    assert amounts(foreseen) == amounts(billed) == [-500, 1000]
    assert billed.amount_paid == 500
    assert start_of(shop.client.v1.subscriptions.retrieve(live.id)) == billed.created


def test_a_coupon_that_came_later_makes_the_charge_cheaper_and_not_the_credit(shop: Shop) -> None:
    """Two seats of $100; half off from the 15th on; a third seat: $100 are credited and $75 charged, as Stripe explains.

    https://groups.google.com/a/lists.stripe.com/g/api-discuss/c/C7yM2sNZhjU
    """
    shop.stand_on(4)
    live = shop.subscribe(shop.price(10_000), quantity=2)
    half = shop.client.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    shop.client.v1.subscriptions.update(live.id, {"discounts": [{"coupon": half.id}]})
    when = {"proration_behavior": "always_invoice", "proration_date": end_of(live) - HALF_OF_APRIL}
    foreseen = shop.preview(live, {"quantity": 3}, **when)
    billed = shop.change(live, {"quantity": 3}, **when)
    assert amounts(foreseen) == amounts(billed) == [-10_000, 7_500]
    assert shop.balance() == -2_500

    shop.controls.post("clock/advance", to=end_of(live) + 7200)
    renewed = shop.client.v1.invoices.list({"subscription": live.id, "limit": 1}).data[0]
    assert (renewed.total, renewed.amount_paid, shop.balance()) == (15_000, 12_500, 0)


def test_the_date_of_a_preview_makes_the_change_cost_what_it_said(shop: Shop) -> None:
    """ "Because Stripe prorates to the second, prorated amounts can change between the time they're previewed and the time
    the update is made." https://docs.stripe.com/billing/subscriptions/prorations#preview-proration
    """
    live = shop.subscribe(shop.price(100_000))
    change = {"price": shop.price(300_000)}
    moment = shop.controls.get("clock")["now"] + DAY
    when = {"proration_behavior": "always_invoice", "proration_date": moment}
    foreseen = shop.preview(live, change, **when)
    shop.controls.post("clock/advance", to=moment + 3_600)
    later = shop.preview(live, change, proration_behavior="always_invoice")
    assert later.total < foreseen.total
    assert amounts(shop.change(live, change, **when)) == amounts(foreseen)


def test_nothing_is_prorated_where_nothing_is_to_be(shop: Shop) -> None:
    live = shop.subscribe(shop.price(1000))
    dearer = {"price": shop.price(2000)}
    assert amounts(shop.preview(live, dearer, proration_behavior="none")) == [2000]
    assert amounts(shop.preview(live, {"quantity": 1})) == [1000]
    trial = shop.client.v1.subscriptions.create(
        {"customer": shop.customer, "items": [{"price": shop.price(1000)}], "trial_period_days": 7}
    )
    assert amounts(shop.preview(trial, dearer)) == [2000]


def test_a_preview_changes_nothing(shop: Shop) -> None:
    live = shop.subscribe(shop.price(1000))
    before = shop.controls.get("state")["objects"], shop.controls.get("events")["total"]
    dearer = {"price": shop.price(2000)}
    made = shop.controls.get("events")["total"] - before[1]
    shop.preview(live, dearer, proration_behavior="always_invoice")
    shop.preview(live, {**dearer, "quantity": 4})
    after = shop.controls.get("state")["objects"]
    assert {kind: after[kind] for kind in ("subscription", "invoice", "customer")} == {
        kind: before[0][kind] for kind in ("subscription", "invoice", "customer")
    }
    assert shop.controls.get("events")["total"] == before[1] + made


def test_mistakes_are_told(shop: Shop) -> None:
    live = shop.subscribe(shop.price(1000))
    preview = shop.client.v1.invoices.create_preview
    with pytest.raises(stripe.InvalidRequestError, match="Missing required param: subscription"):
        preview({"customer": shop.customer})
    with pytest.raises(stripe.InvalidRequestError, match="is of another customer"):
        preview({"subscription": live.id, "customer": ada(shop.client).id})
    outside: Any = {"subscription": live.id, "subscription_details": {"proration_date": end_of(live) + 1}}
    with pytest.raises(stripe.InvalidRequestError, match="within the subscription's current period"):
        preview(outside)
    with pytest.raises(stripe.InvalidRequestError, match="within the subscription's current period"):
        shop.change(live, {"quantity": 2}, proration_date=start_of(live) - 1)
    shop.client.v1.subscriptions.cancel(live.id)
    with pytest.raises(stripe.InvalidRequestError, match="a canceled subscription"):
        preview({"subscription": live.id})


def _year(moment: int) -> int:
    return datetime.fromtimestamp(moment, UTC).year
