"""From sign-up to blocked to paid, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.journeys.town import DECLINES, PAYS, Town, credits_left, pay, sign_up

pytestmark = pytest.mark.browser


async def launch(town: Town, page: Page) -> None:
    """Launch the app builder from its page."""
    await page.goto(f"{town.url}/app/tools/app-builder")
    await page.get_by_role("button", name="Launch").click()
    await expect(page.frame_locator("#tool-frame").get_by_role("heading", name="App Builder")).to_be_visible()


@pytest.mark.row("A1", "A3", "A4", "A6", "S7", "S24")
async def test_ada_uses_her_credits_up_buys_starter_and_goes_on(aurion: Town, page: Page) -> None:
    await sign_up(aurion, page)
    assert await credits_left(aurion, page) == "100"

    await launch(aurion, page)
    assert await credits_left(aurion, page) == "50"
    await launch(aurion, page)
    assert await credits_left(aurion, page) == "0"

    await page.goto(f"{aurion.url}/app/tools/app-builder")
    dialog = page.get_by_role("dialog", name="Credits exhausted")
    await expect(dialog).to_be_visible()
    await expect(page.locator("iframe")).to_have_count(0)
    await expect(page.locator("#launch")).to_be_disabled()
    await dialog.get_by_role("link", name="Upgrade").click()

    await page.get_by_role("button", name="Choose Starter").click()
    await page.wait_for_url(re.compile(re.escape(aurion.sandbox)))
    await pay(page, PAYS)
    await expect(page.get_by_text("You are on the plan Starter")).to_be_visible(timeout=30_000)
    assert await credits_left(aurion, page) == "1,000"
    await expect(page.get_by_text("0 of 1,000 used").first).to_be_visible()
    await launch(aurion, page)
    assert await credits_left(aurion, page) == "950"

    await page.goto(f"{aurion.url}/app/usage")
    await expect(page.get_by_text("launch_tool_app-builder").first).to_be_visible()
    await expect(page.get_by_text("plan_upgraded").first).to_be_visible()


@pytest.mark.row("S7")
async def test_a_declined_card_changes_nothing_and_the_page_says_why(aurion: Town, page: Page) -> None:
    await sign_up(aurion, page)
    await page.goto(f"{aurion.url}/pricing")
    await page.get_by_role("button", name="Choose Starter").click()
    await page.wait_for_url(re.compile(re.escape(aurion.sandbox)))
    await pay(page, DECLINES)
    await expect(page.get_by_role("alert")).to_contain_text("Your card was declined.")

    assert await credits_left(aurion, page) == "100"
    await page.goto(f"{aurion.url}/app/billing")
    await expect(page.get_by_label("Plan", exact=True).get_by_text("Free").first).to_be_visible()
    await page.goto(f"{aurion.url}/app/billing?checkout=cancelled")
    await expect(page.get_by_text("Nothing was charged, and your plan is as it was.")).to_be_visible()


@pytest.mark.row("U1")
@pytest.mark.parametrize(("period", "price"), [("Monthly", "€4"), ("Yearly", "€30")])
async def test_both_prices_of_a_plan_can_be_bought(upiik: Town, page: Page, period: str, price: str) -> None:
    await sign_up(upiik, page)
    await page.goto(f"{upiik.url}/pricing")
    await page.get_by_role("link", name=period).click()
    await expect(page.locator("[data-plan=premium]").get_by_text(price, exact=True)).to_be_visible()
    await page.get_by_role("button", name="Choose Premium").click()
    await page.wait_for_url(re.compile(re.escape(upiik.sandbox)))
    await pay(page, PAYS)
    await expect(page.get_by_text("You are on the plan Premium")).to_be_visible(timeout=30_000)
    figures = page.get_by_label("Plan", exact=True).locator(".figure")
    await expect(figures.filter(has_text=re.compile(f"^{price}$"))).to_be_visible()


@pytest.mark.row("A6")
async def test_without_javascript_zero_is_zero_as_well(aurion: Town, page: Page) -> None:
    await sign_up(aurion, page)
    for _ in range(2):
        await launch(aurion, page)
    assert page.context.browser is not None
    plain = await page.context.browser.new_context(
        java_script_enabled=False, storage_state=await page.context.storage_state(), locale="en-US"
    )
    quiet = await plain.new_page()
    await quiet.goto(f"{aurion.url}/app/tools/app-builder")
    await expect(quiet.get_by_role("heading", name="Credits exhausted")).to_be_visible()
    await expect(quiet.locator("#launch")).to_be_disabled()
    await expect(quiet.locator("iframe")).to_have_count(0)


async def test_a_session_can_be_ended(aurion: Town, page: Page) -> None:
    await sign_up(aurion, page)
    await launch(aurion, page)
    address = page.url
    await page.get_by_role("button", name="End the session").click()
    await expect(page.get_by_text("The session has ended.")).to_be_visible()
    await page.goto(address)
    await expect(page.locator("iframe")).to_have_count(0)
