"""Coupons and promotion codes: what they take off, and when they are over."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.annotations import problems
from tests.sandbox.outside import Controls, ada, starter_price

DAY = 86_400


def _half(client: stripe.StripeClient, **other: object) -> stripe.Coupon:
    return client.v1.coupons.create({"percent_off": 50, "duration": "once", **other})  # type: ignore[arg-type]


def _code(client: stripe.StripeClient, coupon: stripe.Coupon, **other: object) -> stripe.PromotionCode:
    return client.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, **other}  # type: ignore[typeddict-item]
    )


def test_a_coupon_takes_a_percentage_off_or_an_amount(client: stripe.StripeClient) -> None:
    percent = client.v1.coupons.create({"id": "LAUNCH", "percent_off": 12.5, "name": "Launch", "duration": "forever"})
    amount = client.v1.coupons.create(
        {"amount_off": 300, "currency": "USD", "duration": "repeating", "duration_in_months": 3, "max_redemptions": 2}
    )
    assert problems(percent.to_dict()) == problems(amount.to_dict()) == []
    assert (percent.id, percent.percent_off, percent.currency, percent.valid) == ("LAUNCH", 12.5, None, True)
    assert (amount.amount_off, amount.currency, amount.duration_in_months) == (300, "usd", 3)
    changed = client.v1.coupons.update("LAUNCH", {"name": "Spring", "metadata": {"by": "ada"}})
    assert client.v1.coupons.retrieve("LAUNCH").name == changed.name == "Spring"
    assert [coupon.id for coupon in client.v1.coupons.list().data] == [amount.id, "LAUNCH"]
    assert client.v1.events.list().data[0].type == "coupon.updated"


def test_a_coupon_can_be_for_some_products_only(client: stripe.StripeClient) -> None:
    product = str(starter_price(client).product)
    made = _half(client, applies_to={"products": [product]})
    assert "applies_to" not in made.to_dict()
    shown = client.v1.coupons.retrieve(made.id, {"expand": ["applies_to"]})
    assert problems(shown.to_dict()) == []
    assert shown.applies_to is not None
    assert shown.applies_to.products == [product]
    with pytest.raises(stripe.InvalidRequestError, match="No such product: 'prod_x'"):
        _half(client, applies_to={"products": ["prod_x"]})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "percent_off"),
        ({"percent_off": 10, "amount_off": 10, "currency": "usd"}, "only specify one of these"),
        ({"percent_off": 101}, "Invalid percent_off"),
        ({"percent_off": 0}, "Invalid percent_off"),
        ({"amount_off": 0, "currency": "usd"}, "greater than or equal to 1"),
        ({"amount_off": 10}, "currency"),
        ({"amount_off": 10, "currency": "dollars"}, "Invalid currency"),
        ({"percent_off": 10, "duration": "repeating"}, "duration_in_months"),
        ({"percent_off": 10, "duration_in_months": 2}, "if duration is repeating"),
        ({"percent_off": 10, "redeem_by": 1}, "in the future"),
        ({"percent_off": 10, "max_redemptions": 0}, "greater than or equal to 1"),
    ],
)
def test_a_coupon_that_makes_no_sense_is_refused(
    client: stripe.StripeClient, wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=words):
        client.v1.coupons.create(wrong)  # type: ignore[arg-type]


def test_an_id_names_one_coupon_until_it_is_deleted(client: stripe.StripeClient) -> None:
    _half(client, id="HALF")
    with pytest.raises(stripe.InvalidRequestError, match="Coupon already exists"):
        _half(client, id="HALF")
    assert client.v1.coupons.delete("HALF").deleted is True
    with pytest.raises(stripe.InvalidRequestError, match="No such coupon: 'HALF'"):
        client.v1.coupons.retrieve("HALF")
    assert _half(client, id="HALF").times_redeemed == 0


def test_a_code_is_typed_in_any_case_and_is_one_among_the_active(client: stripe.StripeClient) -> None:
    coupon = _half(client)
    code = _code(client, coupon, code="SPRING-50", metadata={"by": "ada"})
    assert problems(code.to_dict()) == []
    assert (code.active, code.promotion.coupon, code.times_redeemed) == (True, coupon.id, 0)
    assert [found.id for found in client.v1.promotion_codes.list({"code": "spring-50"}).data] == [code.id]
    with pytest.raises(stripe.InvalidRequestError, match="`code: Spring-50` already exists"):
        _code(client, coupon, code="Spring-50")
    client.v1.promotion_codes.update(code.id, {"active": False})
    again = _code(client, coupon, code="Spring-50")
    assert [found.id for found in client.v1.promotion_codes.list({"active": True}).data] == [again.id]
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        client.v1.promotion_codes.update(code.id, {"active": True})
    with pytest.raises(stripe.InvalidRequestError, match="letters, digits and dashes"):
        _code(client, coupon, code="50 % off")
    made_up = _code(client, coupon)
    assert len(made_up.code) == 8
    assert len(client.v1.promotion_codes.list({"coupon": coupon.id}).data) == 3


def test_a_code_shows_its_coupon_and_its_restrictions(client: stripe.StripeClient) -> None:
    customer = ada(client)
    code = _code(
        client,
        _half(client, max_redemptions=5),
        customer=customer.id,
        max_redemptions=1,
        restrictions={
            "first_time_transaction": True,
            "minimum_amount": 500,
            "minimum_amount_currency": "USD",
        },
        expand=["promotion.coupon", "customer"],
    )
    assert problems(code.to_dict()) == []
    assert isinstance(code.promotion.coupon, stripe.Coupon)
    assert code.promotion.coupon.percent_off == 50
    assert (code.restrictions.minimum_amount, code.restrictions.minimum_amount_currency) == (500, "usd")
    assert [found.id for found in client.v1.promotion_codes.list({"customer": customer.id}).data] == [code.id]
    with pytest.raises(stripe.InvalidRequestError, match="minimum_amount_currency"):
        _code(client, _half(client), restrictions={"minimum_amount": 500})
    with pytest.raises(stripe.InvalidRequestError, match="greater than that of the coupon"):
        _code(client, _half(client, max_redemptions=1), max_redemptions=2)


def test_time_ends_codes_and_coupons(client: stripe.StripeClient, controls: Controls) -> None:
    now = controls.get("clock")["now"]
    coupon = _half(client, redeem_by=now + 10 * DAY)
    short, long = _code(client, coupon, expires_at=now + 2 * DAY), _code(client, coupon)
    with pytest.raises(stripe.InvalidRequestError, match="later than the coupon's redeem_by"):
        _code(client, coupon, expires_at=now + 11 * DAY)
    controls.post("clock/advance", to=now + 2 * DAY)
    assert client.v1.promotion_codes.retrieve(short.id).active is False
    assert client.v1.promotion_codes.retrieve(long.id).active is True
    with pytest.raises(stripe.InvalidRequestError, match="cannot be activated"):
        client.v1.promotion_codes.update(short.id, {"active": True})
    controls.post("clock/advance", to=now + 10 * DAY)
    assert client.v1.coupons.retrieve(coupon.id).valid is False
    assert client.v1.promotion_codes.retrieve(long.id).active is False
    with pytest.raises(stripe.InvalidRequestError, match="Coupon expired") as caught:
        _code(client, coupon)
    assert caught.value.code == "coupon_expired"


def test_a_deleted_coupon_takes_its_codes_with_it(client: stripe.StripeClient) -> None:
    coupon = _half(client)
    code = _code(client, coupon)
    client.v1.coupons.delete(coupon.id)
    assert client.v1.promotion_codes.retrieve(code.id).active is False
    types = [event.type for event in client.v1.events.list({"limit": 2}).data]
    assert types == ["coupon.deleted", "promotion_code.updated"]
    with pytest.raises(stripe.InvalidRequestError, match="No such promotion code: 'promo_x'"):
        client.v1.promotion_codes.retrieve("promo_x")
