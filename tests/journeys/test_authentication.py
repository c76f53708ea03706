"""A renewal that the bank wants confirmed, in a browser: the page leads there, and says until when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.journeys.test_every_page import look
from tests.journeys.test_portal import advance
from tests.journeys.town import Town, pay, sign_up, standing
from tests.support.databases import new_sqlite

pytestmark = pytest.mark.browser

ALWAYS_ASKS = "4000 0027 6000 3184"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Town]:
    """Upiik, which waits a week for a renewal's payment."""
    grace = '\n[billing]\ngrace = "7d"\n'
    with standing(new_sqlite(tmp_path), "upiik", tmp_path / "serve", more=grace) as town:
        yield town


async def test_ada_confirms_her_renewal(shop: Town, page: Page) -> None:
    await sign_up(shop, page)
    await page.goto(f"{shop.url}/pricing?every=month")
    await page.get_by_role("button", name="Choose Premium").click()
    await page.wait_for_url(re.compile(re.escape(shop.sandbox)))
    await pay(page, ALWAYS_ASKS)
    await page.get_by_role("button", name="Complete").click()
    await expect(page.get_by_text("You are on the plan Premium")).to_be_visible(timeout=30_000)
    advance(shop, 32 * 86_400)

    await page.goto(f"{shop.url}/app/billing?portal=back")
    banner = page.get_by_label("Confirm your last payment with your bank")
    await expect(banner).to_contain_text("Everything works until")
    await expect(page.get_by_label("Plan", exact=True)).to_contain_text("To be paid by")
    await expect(page.get_by_role("table")).to_contain_text("To be confirmed")
    await look(shop, page, ("/app/billing",))
    await page.goto(f"{shop.url}/app/billing")
    await banner.get_by_role("link", name="Confirm the payment").click()
    await page.locator("#confirm-payment").click()
    await page.get_by_role("button", name="Complete").click()
    await expect(page.get_by_text("paid", exact=True)).to_be_visible()

    await page.goto(f"{shop.url}/app/billing?portal=back")
    await expect(page.get_by_label("Plan", exact=True)).to_contain_text("Next payment")
    await expect(banner).to_have_count(0)
