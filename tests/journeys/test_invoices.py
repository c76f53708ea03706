"""An invoice from its payment to the file on the customer's disk, in a browser; and what is said of a refund."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.journeys.test_every_page import look, make_staff
from tests.journeys.town import EVENTS, PAYS, STRIPE_KEY, Town, _ask, pay, sign_up, standing
from tests.support.databases import new_sqlite

pytestmark = pytest.mark.browser


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Town]:
    """AURION, which hears of refunds."""
    with standing(new_sqlite(tmp_path), "aurion", tmp_path / "serve", events=(*EVENTS, "charge.refunded")) as town:
        yield town


def begins_as_pdf(path: Path) -> bool:
    return path.read_bytes().startswith(b"%PDF-")


def newest_charge(town: Town) -> str:
    request = urllib.request.Request(f"{town.sandbox}/v1/charges", headers={"Authorization": f"Bearer {STRIPE_KEY}"})
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["data"][0]["id"])


@pytest.mark.row("S21")
async def test_a_paid_invoice_is_downloaded_and_a_refund_is_said(shop: Town, page: Page, tmp_path: Path) -> None:
    email = await sign_up(shop, page)
    await page.goto(f"{shop.url}/pricing")
    await page.get_by_role("button", name="Choose Starter").click()
    await page.wait_for_url(re.compile(re.escape(shop.sandbox)))
    await pay(page, PAYS)
    await expect(page.get_by_label("You are on the plan Starter")).to_be_visible(timeout=30_000)
    link = page.get_by_role("link", name="PDF of the invoice")
    for _ in range(30):
        if await link.count():
            break
        await page.wait_for_timeout(500)
        await page.goto(f"{shop.url}/app/billing")
    async with page.expect_download() as started:
        await link.click()
    file = await started.value
    assert re.fullmatch(r"[A-Z0-9]+-0001\.pdf", file.suggested_filename)
    await file.save_as(tmp_path / "invoice.pdf")
    assert begins_as_pdf(tmp_path / "invoice.pdf")
    await look(shop, page, ("/app/billing",))

    await page.goto(f"{shop.sandbox}/mail")
    await page.get_by_role("link", name="Your receipt from AURION").first.click()
    await expect(page.locator("pre").first).to_contain_text("is attached as a PDF")

    _ask(shop.sandbox, "refunds", charge=newest_charge(shop))
    await page.goto(f"{shop.url}/app/billing")
    for _ in range(30):
        if await page.get_by_text("$9 given back").count():
            break
        await page.wait_for_timeout(500)
        await page.reload()
    await expect(page.get_by_text("$9 given back")).to_be_visible()
    await look(shop, page, ("/app/billing", "/app/billing?lang=fr"))

    await make_staff(shop, email)
    await page.goto(f"{shop.url}/admin?search={email}&lang=en")
    await page.get_by_role("link", name=email).click()
    await expect(page.get_by_role("link", name="PDF of the invoice")).to_be_visible()
    await look(shop, page, (page.url.removeprefix(shop.url),))
