"""Credits topped up in a browser, without a subscription."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.journeys.test_every_page import look
from tests.journeys.town import PAYS, Town, credits_left, pay, sign_up, standing
from tests.support.databases import new_sqlite

pytestmark = pytest.mark.browser

PACK = """
[packs.refill]
title = "500 credits"
description = "For a busy week."
credits = { credits = 500 }
prices = [ { amount = 700, currency = "usd" }, { amount = 650, currency = "eur" } ]
expires_after = "365d"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Town]:
    """AURION with a pack."""
    with standing(new_sqlite(tmp_path), "aurion", tmp_path / "serve", more=PACK) as town:
        yield town


@pytest.mark.row("X11")
async def test_ada_tops_up_without_a_plan(shop: Town, page: Page) -> None:
    await sign_up(shop, page)
    await page.goto(f"{shop.url}/app/billing")
    await expect(page.get_by_role("button", name="Buy 500 credits")).to_be_visible()
    await page.get_by_role("button", name="or pay €6.50").click()
    await page.wait_for_url(re.compile(re.escape(shop.sandbox)))
    await expect(page.get_by_text("€6.50").first).to_be_visible()
    await pay(page, PAYS)
    await expect(page.get_by_text("500 credits: it is yours")).to_be_visible(timeout=30_000)
    assert await credits_left(shop, page) == "600"
    await look(shop, page, ("/pricing", "/app/billing", "/app/billing?checkout=success&pack=refill&session=cs_none"))
