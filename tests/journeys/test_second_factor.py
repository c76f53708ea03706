"""Staff set up a one-time code in a browser: the QR code holds what the key says, and every state passes the eyes of axe."""

from __future__ import annotations

import time

import pyotp
import pytest
from playwright.async_api import Page, expect

from tests.journeys.test_every_page import LOOKS, look, make_staff
from tests.journeys.town import PASSWORD, Town, sign_up

pytestmark = pytest.mark.browser


async def fits(page: Page) -> None:
    """What cannot be opened again by its address: nothing runs out of the window."""
    for scheme, width in LOOKS:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.set_viewport_size({"width": width, "height": 800})
        assert not await page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    await page.set_viewport_size({"width": 1280, "height": 900})


async def test_a_code_is_set_up_and_asked_for(aurion: Town, page: Page) -> None:
    email = await sign_up(aurion, page, "Grace Hopper")
    await make_staff(aurion, email)
    await look(aurion, page, ("/admin/security",))
    await page.get_by_label("Present password").fill(PASSWORD)
    await page.get_by_role("button", name="Set it up").click()
    await expect(page.get_by_label("QR code for your authenticator app")).to_be_visible()
    await look(aurion, page, ("/admin/security",))
    secret = (await page.locator("code.break").inner_text()).replace(" ", "")

    await page.get_by_label("The code that it shows now").fill(pyotp.TOTP(secret).at(int(time.time())))
    await page.get_by_role("button", name="Turn it on").click()
    await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    await fits(page)
    await page.get_by_role("link", name="I have kept them").click()
    await look(aurion, page, ("/admin/security",))

    await page.context.clear_cookies()
    await page.goto(f"{aurion.url}/login?lang=en&next=/admin")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    await look(aurion, page, ("/login/code?next=/admin",))
    await page.get_by_label("Code of your authenticator app").fill(pyotp.TOTP(secret).at(int(time.time()) + 30))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Customers")).to_be_visible()
