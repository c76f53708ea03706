"""A subscription's life in its customer's hands: bought, switched to the year, canceled, resumed, paid again."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.journeys.test_every_page import look
from tests.journeys.town import PAYS, Town, pay, sign_up, standing
from tests.support.databases import new_sqlite

pytestmark = pytest.mark.browser


async def buy_premium(town: Town, page: Page, card: str = PAYS) -> None:
    """By the month, from the pricing page."""
    await page.goto(f"{town.url}/pricing?every=month")
    await page.get_by_role("button", name="Choose Premium").click()
    await page.wait_for_url(re.compile(re.escape(town.sandbox)))
    await pay(page, card)
    await expect(page.get_by_text("You are on the plan Premium")).to_be_visible(timeout=30_000)


async def open_portal(town: Town, page: Page) -> None:
    await page.goto(f"{town.url}/app/billing")
    await page.get_by_role("button", name="Open the customer portal").click()
    await page.wait_for_url(re.compile(re.escape(f"{town.sandbox}/portal/")))


async def come_back(town: Town, page: Page) -> None:
    await page.locator("#return").click()
    await page.wait_for_url(f"{town.url}/app/billing?portal=back")


def plan_card(page: Page) -> Locator:
    return page.get_by_label("Plan", exact=True)


def advance(town: Town, seconds: int) -> None:
    """Time goes by at Stripe alone: the product's own clock is the real one here."""
    body = f'{{"seconds": {seconds}}}'.encode()
    request = urllib.request.Request(
        f"{town.sandbox}/_sandbox/clock/advance", body, {"content-type": "application/json"}
    )
    urllib.request.urlopen(request).close()


@pytest.mark.row("S8", "U1")
async def test_ada_switches_to_the_year_cancels_and_resumes(upiik: Town, page: Page) -> None:
    await sign_up(upiik, page)
    await buy_premium(upiik, page)
    tokens = page.locator('[data-live="tokens:remaining"]')
    await expect(tokens).to_have_text("500")

    await open_portal(upiik, page)
    await page.locator("#update-plan").click()
    await page.get_by_role("link", name="€30.00 per year").click()
    await page.get_by_role("button", name=re.compile("Pay €2")).click()
    await expect(page.get_by_role("status")).to_contain_text("Your plan has been changed.")
    await come_back(upiik, page)
    await expect(plan_card(page).get_by_text("€30", exact=True).first).to_be_visible()
    await expect(plan_card(page).get_by_text("a year")).to_be_visible()
    await expect(plan_card(page).get_by_text("Next payment")).to_be_visible()
    rows = page.get_by_role("table").get_by_role("row")
    await expect(rows).to_have_count(3)
    await expect(tokens).to_have_text("500")
    await rows.nth(1).get_by_role("link").first.click()
    await expect(page.get_by_text("Unused time on")).to_be_visible()

    await open_portal(upiik, page)
    await page.locator("#cancel-subscription").click()
    await page.locator("#confirm-cancel").click()
    await expect(page.get_by_text("Ends on")).to_be_visible()
    await come_back(upiik, page)
    ending = page.get_by_label(re.compile("Your plan ends on"))
    await expect(ending).to_contain_text("Then you are on the plan Gratuit")
    await expect(plan_card(page).get_by_text("Ends")).to_be_visible()
    await look(upiik, page, ("/app/billing",))

    await page.set_viewport_size({"width": 1280, "height": 900})
    await ending.get_by_role("button", name="Keep the plan").click()
    await page.locator("#resume").click()
    await come_back(upiik, page)
    await expect(ending).to_have_count(0)
    await expect(plan_card(page).get_by_text("Next payment")).to_be_visible()
    await page.goto(f"{upiik.url}/app/usage")
    await expect(page.get_by_text(re.compile("plan_(upgraded|renewed)"))).to_have_count(2)


@pytest.mark.row("U1")
async def test_back_to_the_month_waits_for_the_end_of_the_year(upiik: Town, page: Page) -> None:
    await sign_up(upiik, page)
    await buy_premium(upiik, page)
    await open_portal(upiik, page)
    await page.locator("#update-plan").click()
    await page.get_by_role("link", name="€30.00 per year").click()
    await page.locator("#confirm").click()
    await page.locator("#update-plan").click()
    await page.get_by_role("link", name="€4.00 per month").click()
    await page.locator("#confirm").click()
    await come_back(upiik, page)
    await expect(page.get_by_label(re.compile("Your plan changes on"))).to_contain_text("Premium at €4 a month")
    await expect(plan_card(page).get_by_text("€30", exact=True).first).to_be_visible()
    await look(upiik, page, ("/app/billing",))


@pytest.fixture
def later(tmp_path: Path) -> Iterator[Town]:
    """A town whose Stripe may run ahead of it."""
    with standing(new_sqlite(tmp_path), "upiik", tmp_path / "serve") as town:
        yield town


@pytest.mark.row("S8")
async def test_a_payment_that_failed_is_made_up_for_on_the_invoices_page(later: Town, page: Page) -> None:
    await sign_up(later, page)
    await buy_premium(later, page, "4000 0000 0000 0341")
    advance(later, 32 * 86_400)
    await page.goto(f"{later.url}/app/billing?portal=back")
    await expect(page.get_by_text("Your last payment did not go through")).to_be_visible()
    await look(later, page, ("/app/billing",))
    await page.set_viewport_size({"width": 1280, "height": 900})
    await page.get_by_role("link", name="Pay the invoice").click()
    await pay(page, PAYS)
    await expect(page.get_by_text("paid", exact=True)).to_be_visible()
    await page.goto(f"{later.url}/app/billing?portal=back")
    await expect(page.get_by_text("Your last payment did not go through")).to_have_count(0)
