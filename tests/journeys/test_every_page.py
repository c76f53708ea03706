"""Every page, in light and dark, wide and narrow: axe finds nothing, nothing runs out of the window, the texts are French."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.journeys.town import PASSWORD, Town, sign_up
from tollhouse.identity.actions import set_staff_role
from tollhouse.store import open_store

pytestmark = pytest.mark.browser

PUBLIC = (
    "/", "/pricing", "/signup", "/login", "/reset", "/reset?token=x", "/verify?token=x", "/nowhere", "/docs", "/docs/errors",
)  # fmt: skip
CUSTOMER = (
    "/app", "/app/tools", "/app/tools/app-builder", "/app/projects", "/app/billing", "/app/billing?checkout=success",
    "/app/billing?checkout=cancelled", "/app/usage", "/app/settings?done=profile",
)  # fmt: skip
STAFF = (
    "/admin",
    "/admin?search=zzzz",
    "/admin/webhooks",
    "/admin/webhooks?status=done",
    "/admin/webhooks?status=all&type=invoice.*&since=2026-01-01",
    "/admin/webhooks/replay?status=done",
    "/admin/alerts",
    "/admin/refusals",
    "/admin/reconciliation",
    "/admin/unmapped",
    "/admin/hooks",
    "/admin/moves?from=",
    "/admin/maintenance",
)
LOOKS = (("light", 1280), ("dark", 375))


async def look(town: Town, page: Page, paths: tuple[str, ...]) -> None:
    """Open each page in each look, and collect what is wrong with it."""
    wrong: list[str] = []
    for path in paths:
        for scheme, width in LOOKS:
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.set_viewport_size({"width": width, "height": 800})
            await page.goto(town.url + path)
            found = (await Axe().run(page)).response["violations"]
            wrong += [f"{path} {scheme}: {v['id']}: {v['nodes'][0]['html'][:200]}" for v in found]
            if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                wrong.append(f"{path} at {width}: wider than the window")
    assert not wrong, "\n".join(wrong)


async def make_staff(town: Town, email: str) -> None:
    """What `tollhouse staff add` does."""
    store = await open_store(town.database_url)
    try:
        async with store.transaction() as tx:
            await set_staff_role(tx, email, "admin", store.clock.now_ms())
    finally:
        await store.close()


async def test_pages_for_visitors(aurion: Town, page: Page) -> None:
    await look(aurion, page, PUBLIC)


async def test_the_switch_between_month_and_year(upiik: Town, page: Page) -> None:
    await look(upiik, page, ("/", "/pricing", "/pricing?every=year"))


async def test_pages_for_customers(aurion: Town, page: Page) -> None:
    await sign_up(aurion, page)
    await look(aurion, page, CUSTOMER)
    await page.goto(f"{aurion.url}/app/tools/app-builder")
    await page.get_by_role("button", name="Launch").click()
    running = page.url.removeprefix(aurion.url)
    await look(aurion, page, (running, "/app/tools/video-studio"))


async def test_pages_for_staff(aurion: Town, page: Page) -> None:
    email = await sign_up(aurion, page, "Grace Hopper")
    await page.goto(f"{aurion.url}/admin")
    await expect(page.get_by_role("heading", name="You may not see this page")).to_be_visible()
    await make_staff(aurion, email)
    await look(aurion, page, STAFF)
    await page.goto(f"{aurion.url}/admin?search=grace")
    await page.get_by_role("link", name=email).click()
    await expect(page.get_by_role("heading", name="Book")).to_be_visible()
    customer = page.url.removeprefix(aurion.url)
    await look(aurion, page, (customer, f"{customer}/stripe"))


async def test_the_keyboard_reaches_the_content_and_the_menu(aurion: Town, page: Page) -> None:
    await sign_up(aurion, page)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    menu = page.locator(".app-side details.menu")
    await menu.locator("summary").focus()
    await page.keyboard.press("Enter")
    await menu.get_by_role("button", name="Dark").click()
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_a_user_who_reads_french_gets_french(aurion: Town, page: Page) -> None:
    email = await sign_up(aurion, page)
    await page.goto(f"{aurion.url}/app/settings")
    await page.get_by_label("Language").select_option("fr")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Réglages")).to_be_visible()
    await page.locator(".app-side details.menu summary").click()
    await page.locator(".app-side").get_by_role("button", name="Se déconnecter").click()
    await page.goto(f"{aurion.url}/login?lang=en")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Utilisation")).to_be_visible()
