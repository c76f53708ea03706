"""Cheaper on the Checkout page: by the shop's coupon, or by a code that the customer types."""

from __future__ import annotations

from pathlib import Path

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.conftest import KEY
from tests.sandbox.outside import SUCCESS_URL, Browser, Controls, Page, ada, starter_price
from tollhouse_sandbox.billing.periods import boundary
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running_in_thread

GOOD, BROKE = "4242424242424242", "4000000000009995"


def _session(
    client: stripe.StripeClient, price: stripe.Price, *, customer: str | None = None, **other: object
) -> stripe.checkout.Session:
    asked: dict[str, object] = {
        "mode": "subscription" if price.recurring else "payment",
        "line_items": [{"price": price.id, "quantity": 1}],
        "success_url": SUCCESS_URL,
    }
    if customer:
        asked["customer"] = customer
    return client.v1.checkout.sessions.create(asked | other)  # type: ignore[arg-type]


def _code(client: stripe.StripeClient, text: str, **other: object) -> stripe.PromotionCode:
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "forever", "name": "Launch"})
    return client.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": text, **other}  # type: ignore[typeddict-item]
    )


def _type_code(browser: Browser, session: stripe.checkout.Session, text: str) -> Page:
    return browser.open(str(session.url), {"promotion_code": text, "answer": "apply"})


def _pack(client: stripe.StripeClient) -> stripe.Price:
    return client.v1.prices.create({"currency": "usd", "unit_amount": 500, "product_data": {"name": "Pack"}})


def test_a_session_with_a_coupon_costs_less_from_the_start(
    client: stripe.StripeClient, browser: Browser, controls: Controls
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 25, "duration": "forever", "name": "Launch"})
    session = _session(client, starter_price(client), discounts=[{"coupon": coupon.id}], expand=["line_items"])
    assert problems(session.to_dict(for_json=True)) == []
    assert (session.amount_subtotal, session.amount_total) == (900, 675)
    assert session.total_details is not None
    assert session.total_details.amount_discount == 225
    assert session.line_items is not None
    assert [(line.amount_discount, line.amount_total) for line in session.line_items.data] == [(225, 675)]
    assert session.to_dict()["discounts"] == [{"coupon": coupon.id, "promotion_code": None}]
    page = browser.open(str(session.url)).text
    assert "Launch" in page
    assert "25% off" in page
    assert "-$2.25" in page
    assert "$6.75" in page
    assert client.v1.coupons.retrieve(coupon.id).times_redeemed == 0
    browser.pay(session, GOOD)
    assert client.v1.coupons.retrieve(coupon.id).times_redeemed == 1
    live = client.v1.subscriptions.list().data[0]
    controls.post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 1))
    assert [invoice.amount_paid for invoice in client.v1.invoices.list().data] == [675, 675]


def test_a_code_is_typed_taken_back_and_typed_again(client: stripe.StripeClient, browser: Browser) -> None:
    code = _code(client, "SPRING")
    session = _session(client, starter_price(client), allow_promotion_codes=True)
    page = browser.open(str(session.url)).text
    assert 'for="promotion-code"' in page
    assert 'id="apply-code"' in page
    wrong = _type_code(browser, session, "AUTUMN")
    assert wrong.status == 400
    assert "This code is invalid." in wrong.text
    assert "did not go through" not in wrong.text
    assert _type_code(browser, session, " spring ").status == 303
    page = browser.open(str(session.url)).text
    assert "Remove code SPRING" in page
    assert "$4.50" in page
    priced = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["discounts.promotion_code"]})
    assert problems(priced.to_dict(for_json=True)) == []
    assert priced.amount_total == 450
    assert priced.discounts is not None
    assert isinstance(priced.discounts[0].promotion_code, stripe.PromotionCode)
    browser.open(str(session.url), {"answer": "remove"})
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 900
    _type_code(browser, session, "SPRING")
    assert browser.pay(session, GOOD).status == 303
    discount = client.v1.subscriptions.list({"expand": ["data.discounts"]}).data[0].discounts[0]
    assert isinstance(discount, stripe.Discount)
    assert discount.promotion_code == code.id
    assert client.v1.promotion_codes.retrieve(code.id).times_redeemed == 1


def test_no_code_can_be_typed_where_the_shop_takes_none(client: stripe.StripeClient, browser: Browser) -> None:
    _code(client, "SPRING")
    session = _session(client, starter_price(client))
    assert "promotion-code" not in browser.open(str(session.url)).text
    _type_code(browser, session, "SPRING")
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 900


def test_a_code_after_a_declined_card_changes_what_the_next_card_pays(
    client: stripe.StripeClient, browser: Browser
) -> None:
    _code(client, "SPRING")
    session = _session(client, starter_price(client), allow_promotion_codes=True)
    assert browser.pay(session, BROKE).status == 402
    _type_code(browser, session, "SPRING")
    browser.pay(session, GOOD)
    assert [intent.amount for intent in client.v1.payment_intents.list().data] == [450]
    assert client.v1.charges.list().data[0].amount == 450


def test_a_first_month_for_free_pays_nothing_and_renews_at_the_price(
    client: stripe.StripeClient, browser: Browser, controls: Controls
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 100, "duration": "once"})
    client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "FREE"})
    session = _session(client, starter_price(client), allow_promotion_codes=True)
    browser.pay(session, BROKE)
    _type_code(browser, session, "FREE")
    assert "Then $9.00 per month" in browser.open(str(session.url)).text
    browser.pay(session, GOOD)
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.status, paid.payment_status, paid.amount_total) == ("complete", "no_payment_required", 0)
    assert [intent.status for intent in client.v1.payment_intents.list().data] == ["canceled"]
    live = client.v1.subscriptions.list().data[0]
    assert live.status == "active"
    controls.post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 1))
    assert [invoice.amount_paid for invoice in client.v1.invoices.list().data] == [900, 0]


@pytest.mark.parametrize(("percent", "cost"), [(20, 400), (100, 0)])
def test_something_bought_once_is_cheaper_too(
    client: stripe.StripeClient, browser: Browser, percent: int, cost: int
) -> None:
    coupon = client.v1.coupons.create({"percent_off": percent, "max_redemptions": 1})
    session = _session(client, _pack(client), discounts=[{"coupon": coupon.id}])
    browser.pay(session, GOOD)
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.status, paid.amount_total) == ("complete", cost)
    assert (paid.payment_intent is None) == (cost == 0)
    assert [charge.amount for charge in client.v1.charges.list().data] == ([cost] if cost else [])
    assert client.v1.coupons.retrieve(coupon.id).valid is False


def test_a_code_for_first_purchases_is_refused_to_who_has_bought(client: stripe.StripeClient, browser: Browser) -> None:
    customer, price = ada(client), _pack(client)
    code = _code(client, "WELCOME", restrictions={"first_time_transaction": True})
    browser.pay(_session(client, price, customer=customer.id, discounts=[{"promotion_code": code.id}]), GOOD)
    words = "the associated customer has prior transactions"
    with pytest.raises(stripe.InvalidRequestError, match=words):
        _session(client, price, customer=customer.id, discounts=[{"promotion_code": code.id}])
    again = _session(client, price, customer=customer.id, allow_promotion_codes=True)
    assert words in _type_code(browser, again, "WELCOME").text


def test_a_code_for_large_purchases_is_refused_to_small_ones(client: stripe.StripeClient, browser: Browser) -> None:
    code = _code(client, "LARGE", restrictions={"minimum_amount": 901, "minimum_amount_currency": "usd"})
    words = "does not meet the minimum amount requirement"
    price = starter_price(client)
    with pytest.raises(stripe.InvalidRequestError, match=words):
        _session(client, price, discounts=[{"promotion_code": code.id}])
    session = _session(client, price, allow_promotion_codes=True)
    assert words in _type_code(browser, session, "LARGE").text
    large = _session(client, starter_price(client, amount=901), discounts=[{"promotion_code": code.id}])
    assert large.amount_total == 450


def test_a_code_of_one_customer_is_no_code_for_another(client: stripe.StripeClient, browser: Browser) -> None:
    mine, other = ada(client), ada(client)
    code = _code(client, "MINE", customer=mine.id)
    price = starter_price(client)
    with pytest.raises(stripe.InvalidRequestError, match="it is for another customer"):
        _session(client, price, customer=other.id, discounts=[{"promotion_code": code.id}])
    theirs = _session(client, price, customer=other.id, allow_promotion_codes=True)
    assert "This code is invalid." in _type_code(browser, theirs, "MINE").text
    assert (
        _type_code(browser, _session(client, price, customer=mine.id, allow_promotion_codes=True), "MINE").status == 303
    )


def test_a_session_takes_one_discount_of_one_kind(client: stripe.StripeClient) -> None:
    coupon = client.v1.coupons.create({"percent_off": 10})
    price = starter_price(client)
    with pytest.raises(stripe.InvalidRequestError, match="allow_promotion_codes, discounts"):
        _session(client, price, discounts=[{"coupon": coupon.id}], allow_promotion_codes=True)
    with pytest.raises(stripe.InvalidRequestError, match="Only one coupon"):
        _session(client, price, discounts=[{"coupon": coupon.id}, {"coupon": coupon.id}])
    with pytest.raises(stripe.InvalidRequestError, match="cannot be used in `setup` mode"):
        client.v1.checkout.sessions.create(
            {
                "mode": "setup",
                "currency": "usd",
                "success_url": SUCCESS_URL,
                "discounts": [{"coupon": coupon.id}],
            }
        )


def test_a_discount_ends_on_its_day_even_after_a_restart(tmp_path: Path) -> None:
    config = Config(port=0, data_file=str(tmp_path / "sandbox.db"))
    with running_in_thread(config) as first:
        client = stripe.StripeClient(KEY, base_addresses={"api": first.url}, max_network_retries=0)
        coupon = client.v1.coupons.create({"percent_off": 50, "duration": "repeating", "duration_in_months": 2})
        session = _session(client, starter_price(client), discounts=[{"coupon": coupon.id}])
        Browser(first.url).pay(session, GOOD)
        live = client.v1.subscriptions.list().data[0]
    with running_in_thread(config) as second:
        client = stripe.StripeClient(KEY, base_addresses={"api": second.url}, max_network_retries=0)
        Controls(second.url).post("clock/advance", to=boundary(live.billing_cycle_anchor, "month", 1, 2))
        assert [invoice.total for invoice in client.v1.invoices.list().data] == [900, 450, 450]
        assert client.v1.subscriptions.retrieve(live.id).discounts == []
