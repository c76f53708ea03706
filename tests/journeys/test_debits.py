"""Bought by bank debit in a browser: the page says that the payment is on its way, and the plan begins when it arrives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.journeys.test_every_page import look
from tests.journeys.test_portal import advance
from tests.journeys.town import EVENTS, Town, sign_up, standing
from tests.support.databases import new_sqlite

pytestmark = pytest.mark.browser

PAYS = "AT61 1904 3002 3457 3201"
FAILS = "AT86 1904 3002 3547 3202"
DAYS = 5 * 86_400
PACK = """
[packs.refill]
title = "200 tokens"
credits = { tokens = 200 }
prices = [ { amount = 300, currency = "eur" } ]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Town]:
    """Upiik with a pack; it hears of what banks answer."""
    told = (*EVENTS, "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed")
    with standing(new_sqlite(tmp_path), "upiik", tmp_path / "serve", events=told, more=PACK) as town:
        yield town


async def debit(town: Town, page: Page, iban: str) -> None:
    """Choose the debit on the Checkout page and send it; back in the shop."""
    await page.wait_for_url(re.compile(re.escape(town.sandbox)))
    await page.get_by_label("SEPA Direct Debit").check()
    await expect(page.get_by_label("Card number")).to_be_hidden()
    await page.get_by_label("IBAN").fill(iban)
    await page.get_by_label("Account holder").fill("Ada Lovelace")
    await page.locator("#pay").click()
    await page.wait_for_url(re.compile(re.escape(f"{town.url}/app/billing")))


async def buy_premium(town: Town, page: Page, iban: str) -> None:
    await page.goto(f"{town.url}/pricing?every=month")
    await page.get_by_role("button", name="Choose Premium").click()
    await debit(town, page, iban)


async def test_the_plan_and_the_pack_come_when_the_bank_has_paid(shop: Town, page: Page) -> None:
    await sign_up(shop, page)
    await buy_premium(shop, page, PAYS)
    banner = page.get_by_label("Your payment is on its way")
    await expect(banner).to_contain_text("The plan Premium begins as soon as it has arrived.", timeout=30_000)
    await expect(page.get_by_label("Plan", exact=True)).to_contain_text("Free")
    await expect(page.get_by_role("table")).to_contain_text("On its way")
    await look(shop, page, ("/app/billing",))
    await page.goto(f"{shop.url}/app/billing?lang=fr")
    await expect(page.get_by_label("Votre paiement est en route")).to_contain_text("L’offre Premium commence")
    await page.goto(f"{shop.url}/app/billing?lang=en")

    await page.get_by_role("button", name="Buy 200 tokens").click()
    await debit(shop, page, PAYS)
    await expect(banner.nth(1)).to_contain_text("200 tokens: it is yours as soon as it has arrived.", timeout=30_000)
    advance(shop, DAYS)

    await page.goto(f"{shop.url}/app/billing?portal=back")
    await expect(page.get_by_label("Plan", exact=True)).to_contain_text("Premium")
    await expect(page.locator('[data-live="tokens:remaining"]')).to_have_text("700")
    await expect(banner).to_have_count(0)


async def test_a_bank_that_refuses_is_told_with_another_way_to_pay(shop: Town, page: Page) -> None:
    await sign_up(shop, page)
    await buy_premium(shop, page, FAILS)
    await expect(page.get_by_label("Your payment is on its way")).to_be_visible(timeout=30_000)
    advance(shop, DAYS)
    await page.goto(f"{shop.url}/app/billing?portal=back")
    refused = page.get_by_label("Your payment did not go through")
    await expect(refused).to_contain_text("So the plan Premium has not begun.")
    await look(shop, page, ("/app/billing",))
    await refused.get_by_role("link", name="Pay the invoice").click()
    await page.locator("#card-number").fill("4242 4242 4242 4242")
    await page.locator("#card-expiry").fill("12 / 34")
    await page.locator("#card-cvc").fill("123")
    await page.locator("#cardholder-name").fill("Ada Lovelace")
    await page.locator("#pay").click()
    await page.goto(f"{shop.url}/app/billing?portal=back")
    await expect(page.get_by_label("Plan", exact=True)).to_contain_text("Premium", timeout=30_000)
