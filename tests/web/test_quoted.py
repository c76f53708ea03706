"""The price that was agreed with a subscription is shown for as long as it is paid, and not longer."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from msgspec.structs import replace

from tollhouse.billing.actions import SubscriptionView
from tollhouse.billing.quotes import Offer, Quote
from tollhouse.catalog import load_catalog
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.money import Money
from tollhouse.web.quoted import agreed, quoted_offers

CATALOG = load_catalog(Path(str(files("tollhouse.presets").joinpath("upiik.toml"))))
PLAN = next(plan for plan in CATALOG.plans.values() if len(plan.prices) == 2)
MONTH = next(price for price in PLAN.prices if price.every == "month")
QUOTE = Quote(
    "cus_1", "quo_1", PLAN.plan, "month", Offer("percent", 2_500), MONTH.currency, "why", "grace", 0, 30 * DAY, "used",
    subscription="sub_1", used_at=DAY,
)  # fmt: skip
BOUGHT = SubscriptionView(
    "sub_1", "active", PLAN.plan, "month", Money(MONTH.amount_minor, MONTH.currency), DAY, 31 * DAY, None
)


@pytest.mark.parametrize(
    ("offer", "now", "shown"),
    [
        (Offer("percent", 2_500), 900 * DAY, True),
        (Offer("percent", 2_500, "once"), 2 * DAY, True),
        (Offer("percent", 2_500, "months", 2), 40 * DAY, True),
        (Offer("percent", 2_500, "months", 2), 70 * DAY, False),
    ],
)
def test_an_agreed_price_is_shown_while_it_lasts(offer: Offer, now: int, shown: bool) -> None:
    found = agreed(CATALOG, BOUGHT, [replace(QUOTE, offer=offer)], now)
    assert (found.quoted_minor if found else None) == (MONTH.amount_minor * 3 // 4 if shown else None)


def test_what_was_agreed_once_is_not_shown_in_the_next_period() -> None:
    later = replace(BOUGHT, period_start=31 * DAY, period_end=61 * DAY)
    assert agreed(CATALOG, later, [replace(QUOTE, offer=Offer("percent", 2_500, "once"))], 40 * DAY) is None


def test_another_term_another_subscription_and_none_have_nothing_agreed() -> None:
    assert agreed(CATALOG, replace(BOUGHT, every="year"), [QUOTE], 2 * DAY) is None
    assert agreed(CATALOG, replace(BOUGHT, id="sub_2"), [QUOTE], 2 * DAY) is None
    assert agreed(CATALOG, None, [QUOTE], 2 * DAY) is None


def test_an_open_quote_is_offered_for_its_term_alone() -> None:
    offered = quoted_offers(CATALOG, [replace(QUOTE, status="open")])
    assert [(one.plan, one.price.every if one.price else "", one.quoted_minor) for one in offered] == [
        (PLAN.plan, "month", MONTH.amount_minor * 3 // 4)
    ]
    assert quoted_offers(CATALOG, [QUOTE]) == []
