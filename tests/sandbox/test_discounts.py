"""Discounts on a subscription: what its invoices cost, for how long, and what is credited."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import Browser, Controls, ada, starter_price
from tollhouse_sandbox.billing.discounts import shares
from tollhouse_sandbox.billing.periods import boundary


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    """Ada, with a good card on file."""
    made = ada(client)
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": card.id}})
    return made


def _coupon(client: stripe.StripeClient, **terms: object) -> stripe.Coupon:
    return client.v1.coupons.create({"percent_off": 50, "duration": "forever"} | terms)  # type: ignore[arg-type]


def _price(client: stripe.StripeClient, amount: int = 900) -> stripe.Price:
    """Starter's price of that amount, made where there is none yet."""
    found = client.v1.prices.list({"lookup_keys": [f"starter_{amount}_month"]}).data
    return found[0] if found else starter_price(client, amount=amount)


def _subscribe(
    client: stripe.StripeClient, customer: stripe.Customer, coupon: stripe.Coupon, *prices: stripe.Price
) -> stripe.Subscription:
    return client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id} for price in prices or (_price(client),)],
            "discounts": [{"coupon": coupon.id}],
            "expand": ["latest_invoice", "discounts.source.coupon"],
        }
    )


def _invoices(client: stripe.StripeClient) -> list[stripe.Invoice]:
    return list(reversed(client.v1.invoices.list({"limit": 100}).data))


def _types(client: stripe.StripeClient, since: str) -> list[str]:
    return [event.type for event in reversed(client.v1.events.list({"limit": 100, "ending_before": since}).data)]


def test_a_first_invoice_says_what_was_taken_off(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    last = client.v1.events.list().data[0].id
    live = _subscribe(client, customer, _coupon(client, id="HALF"))
    assert problems(live.to_dict(for_json=True)) == []
    (discount,) = live.discounts
    assert isinstance(discount, stripe.Discount)
    assert isinstance(discount.source.coupon, stripe.Coupon)
    assert (discount.source.coupon.times_redeemed, discount.subscription) == (1, live.id)
    invoice = live.latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    (line,) = invoice.lines.data
    assert (line.amount, line.subtotal, line.discountable) == (900, 900, True)
    assert line.to_dict()["discount_amounts"] == [{"amount": 450, "discount": discount.id}]
    assert (invoice.subtotal, invoice.total, invoice.amount_paid) == (900, 450, 450)
    assert invoice.to_dict()["total_discount_amounts"] == [{"amount": 450, "discount": discount.id}]
    assert invoice.discounts == [discount.id]
    assert client.v1.charges.list().data[0].amount == 450
    types = _types(client, last)
    assert types.index("customer.discount.created") < types.index("invoice.created")
    shown = client.v1.invoices.retrieve(invoice.id, {"expand": ["discounts", "total_discount_amounts.discount"]})
    assert problems(shown.to_dict(for_json=True)) == []
    assert isinstance(shown.discounts[0], stripe.Discount)


def test_for_ever_is_every_renewal(client: stripe.StripeClient, customer: stripe.Customer, controls: Controls) -> None:
    live = _subscribe(client, customer, _coupon(client))
    controls.post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 3))
    assert [invoice.amount_paid for invoice in _invoices(client)] == [450] * 4


def test_once_is_the_first_invoice_only(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    live = _subscribe(client, customer, _coupon(client, duration="once"))
    assert client.v1.subscriptions.retrieve(live.id).discounts == []
    assert client.v1.events.list({"type": "customer.discount.deleted"}).data[0].livemode is False
    controls.post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 2))
    assert [invoice.total for invoice in _invoices(client)] == [450, 900, 900]


def test_some_months_are_counted_from_the_redemption(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    live = _subscribe(client, customer, _coupon(client, duration="repeating", duration_in_months=2))
    (discount,) = live.discounts
    assert isinstance(discount, stripe.Discount)
    assert discount.end == boundary(discount.start, "month", 1, 2)
    controls.post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 3))
    assert [invoice.total for invoice in _invoices(client)] == [450, 450, 900, 900]
    assert client.v1.subscriptions.retrieve(live.id).discounts == []
    ended = client.v1.events.list({"type": "customer.discount.deleted"}).data[0]
    assert (ended.created, ended.data.object["id"]) == (discount.end, discount.id)


def test_once_waits_through_a_trial_for_something_to_take_off(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    trial = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": _price(client).id}],
            "trial_period_days": 7,
            "discounts": [{"coupon": _coupon(client, duration="once").id}],
        }
    )
    assert len(client.v1.subscriptions.retrieve(trial.id).discounts) == 1
    controls.post("clock/advance", seconds=60 * 86_400)
    assert [invoice.total for invoice in _invoices(client)] == [0, 450, 900]


def test_an_amount_is_spread_over_the_lines_and_never_more_than_them(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    amount = client.v1.coupons.create({"amount_off": 1000, "currency": "usd", "duration": "once"})
    both = (_price(client), _price(client, amount=2100))
    invoice = _subscribe(client, customer, amount, *both).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    taken = [line.to_dict()["discount_amounts"][0]["amount"] for line in invoice.lines.data]
    assert (taken, invoice.total) == ([300, 700], 2000)
    free = _subscribe(client, customer, amount).latest_invoice
    assert isinstance(free, stripe.Invoice)
    assert (free.total, free.status, free.amount_paid) == (0, "paid", 0)
    euro = client.v1.coupons.create({"amount_off": 100, "currency": "eur"})
    with pytest.raises(stripe.InvalidRequestError, match="does not match"):
        _subscribe(client, customer, euro)


def test_a_coupon_for_some_products_leaves_the_others_alone(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    cheaper, other = _price(client), _price(client, amount=2100)
    coupon = _coupon(client, applies_to={"products": [str(cheaper.product)]})
    invoice = _subscribe(client, customer, coupon, cheaper, other).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert [line.to_dict()["discount_amounts"][0]["amount"] for line in invoice.lines.data] == [450, 0]


def test_every_cent_is_taken_off_exactly_once() -> None:
    def taken(offer: dict[str, object], *amounts: int) -> list[int]:
        return shares([{"coupon": {"percent_off": None} | offer, "products": []}], [("p", a) for a in amounts])[0]

    assert taken({"amount_off": 100}, 1, 1, 1) == [1, 1, 1]
    assert taken({"amount_off": 2}, 1, 1, 1) == [0, 1, 1]
    assert taken({"percent_off": 50.0}, 5, 5) == [2, 3]
    assert taken({"percent_off": 33.3}, 1000) == [333]
    assert taken({"percent_off": 100.0}, 0, 7) == [0, 7]
    for total in range(1, 40):
        split = taken({"amount_off": total}, 7, 13, 20)
        assert sum(split) == total
        assert all(share <= part for share, part in zip(split, (7, 13, 20), strict=True))


def test_discounts_follow_one_another_on_what_is_left(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    off = client.v1.coupons.create({"amount_off": 100, "currency": "usd", "duration": "forever"})
    made = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": _price(client).id}],
            "discounts": [{"coupon": off.id}, {"coupon": _coupon(client).id}],
        }
    )
    invoice = _invoices(client)[0].to_dict()
    assert [taken["amount"] for taken in invoice["total_discount_amounts"]] == [100, 400]
    assert invoice["discounts"] == made.discounts
    assert invoice["total"] == 400


def test_discounts_are_given_kept_and_taken_away_later(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    live = client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": _price(client).id}]})
    half, tenth = _coupon(client), _coupon(client, percent_off=10)
    one = client.v1.subscriptions.update(live.id, {"discounts": [{"coupon": half.id}]}).discounts
    two = client.v1.subscriptions.update(
        live.id, {"discounts": [{"discount": str(one[0])}, {"coupon": tenth.id}]}
    ).discounts
    assert two[0] == one[0]
    controls.post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 1))
    assert _invoices(client)[-1].total == 405
    with pytest.raises(stripe.InvalidRequestError, match="No such discount: 'di_x'"):
        client.v1.subscriptions.update(live.id, {"discounts": [{"discount": "di_x"}]})
    last = client.v1.events.list().data[0].id
    assert client.v1.subscriptions.update(live.id, {"discounts": [{"discount": str(two[1])}]}).discounts == two[1:]
    gone = client.v1.subscriptions.delete_discount(live.id)
    assert (gone.id, gone.deleted) == (two[1], True)
    assert _types(client, last) == ["customer.discount.deleted", "customer.subscription.updated"] * 2
    with pytest.raises(stripe.InvalidRequestError, match="No active discount for subscription"):
        client.v1.subscriptions.delete_discount(live.id)
    client.v1.subscriptions.update(live.id, {"discounts": [{"coupon": half.id}]})
    assert client.v1.subscriptions.update(live.id, {"discounts": ""}).discounts == []


def test_a_coupon_that_is_deleted_goes_on_for_those_who_have_it(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    live = _subscribe(client, customer, _coupon(client, id="OLD"))
    client.v1.coupons.delete("OLD")
    _coupon(client, id="OLD", percent_off=1)
    controls.post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 1))
    assert _invoices(client)[-1].total == 450


def test_the_last_redemption_ends_coupon_and_codes(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    coupon = _coupon(client, max_redemptions=2)
    code = client.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "TWICE", "max_redemptions": 1}
    )
    live = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": _price(client).id}],
            "discounts": [{"promotion_code": code.id}],
            "expand": ["discounts.promotion_code"],
        }
    )
    (discount,) = live.discounts
    assert isinstance(discount, stripe.Discount)
    assert isinstance(discount.promotion_code, stripe.PromotionCode)
    assert (discount.promotion_code.times_redeemed, discount.promotion_code.active) == (1, False)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be redeemed because it is not active"):
        client.v1.subscriptions.update(live.id, {"discounts": [{"promotion_code": code.id}]})
    assert client.v1.coupons.retrieve(coupon.id).valid is True
    _subscribe(client, customer, coupon)
    shown = client.v1.coupons.retrieve(coupon.id)
    assert (shown.times_redeemed, shown.valid) == (2, False)
    with pytest.raises(stripe.InvalidRequestError, match="Coupon expired") as caught:
        _subscribe(client, customer, coupon)
    assert caught.value.code == "coupon_expired"


def test_a_discount_has_to_name_one_thing(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    for wrong, words in (
        ({"coupon": "x", "promotion_code": "y"}, "exactly one"),
        ({"coupon": "x"}, "No such coupon: 'x'"),
        ({"promotion_code": "x"}, "No such promotion code: 'x'"),
        ({"discount": "x"}, "No such discount: 'x'"),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=words):
            client.v1.subscriptions.create(
                {"customer": customer.id, "items": [{"price": _price(client).id}], "discounts": [wrong]}  # type: ignore[arg-type]
            )
    assert client.v1.subscriptions.list().data == []


def _upgrade(
    client: stripe.StripeClient, controls: Controls, live: stripe.Subscription, amount: int, numerator: int
) -> stripe.Invoice:
    """To a price of that amount, after so many quarters of the period, paid at once."""
    item = live["items"].data[0]
    start, end = item.current_period_start, item.current_period_end
    moment = start + (end - start) * numerator // 4
    controls.post("clock/advance", to=moment)
    changed = client.v1.subscriptions.update(
        live.id,
        {
            "items": [{"id": item.id, "price": _price(client, amount=amount).id}],
            "proration_behavior": "always_invoice",
            "proration_date": moment,
            "expand": ["latest_invoice"],
        },
    )
    assert isinstance(changed.latest_invoice, stripe.Invoice)
    return changed.latest_invoice


def test_a_discounted_item_is_credited_and_charged_discounted(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    live = _subscribe(client, customer, _coupon(client))
    (discount,) = live.discounts
    assert isinstance(discount, stripe.Discount)
    invoice = _upgrade(client, controls, live, 2900, 2)
    assert problems(invoice.to_dict(for_json=True)) == []
    assert [line.amount for line in invoice.lines.data] == [-225, 725]
    for line in invoice.lines.data:
        assert line.discountable is False
        assert line.discounts == [discount.id]
        assert line.to_dict()["discount_amounts"] == [{"amount": 0, "discount": discount.id}]
    assert (invoice.total, invoice.amount_paid, invoice.to_dict()["total_discount_amounts"]) == (500, 500, [])


def test_what_was_paid_with_a_coupon_for_once_is_not_credited_whole(
    client: stripe.StripeClient, customer: stripe.Customer, controls: Controls
) -> None:
    live = _subscribe(client, customer, _coupon(client, duration="once"))
    assert [line.amount for line in _upgrade(client, controls, live, 2900, 2).lines.data] == [-225, 1450]
    assert [line.amount for line in _upgrade(client, controls, live, 900, 3).lines.data] == [-725, 225]


def test_a_new_period_at_once_is_discounted_and_uses_a_coupon_up(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    live = client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": _price(client).id}]})
    item = live["items"].data[0]
    yearly = starter_price(client, amount=9000, interval="year")
    changed = client.v1.subscriptions.update(
        live.id,
        {
            "items": [{"id": item.id, "price": yearly.id}],
            "discounts": [{"coupon": _coupon(client, duration="once").id}],
            "proration_date": item.current_period_start,
        },
    )
    invoice = _invoices(client)[-1]
    assert ([line.amount for line in invoice.lines.data], invoice.total) == ([-900, 9000], 3600)
    assert changed.discounts == []


def test_a_customer_reads_the_discount_on_the_invoice(
    client: stripe.StripeClient, customer: stripe.Customer, browser: Browser
) -> None:
    invoice = _subscribe(client, customer, _coupon(client)).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert "-$4.50" in browser.open(str(invoice.hosted_invoice_url)).text
