"""The sandbox's pages in a browser: readable by everyone, on every screen, without a script."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
import stripe
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from tests.sandbox.outside import SUCCESS_URL, Browser, Controls, ada, starter_price, subscribing
from tests.support.chromium import running_chromium
from tollhouse_sandbox.server import Running


async def _faults(page: Page) -> list[str]:
    found = await Axe().run(page)
    return [f"{fault['id']}: {node['html']}" for fault in found.response["violations"] for node in fault["nodes"]]


async def _fits(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
async def test_every_page_is_accessible_and_fits_the_screen(
    client: stripe.StripeClient, sandbox: Running, scheme: Literal["light", "dark"], width: int
) -> None:
    customer = await asyncio.to_thread(ada, client)
    price = await asyncio.to_thread(starter_price, client)
    session = await asyncio.to_thread(subscribing, client, customer.id, price.id)
    await client.v1.promotion_codes.create_async(
        {
            "promotion": {"type": "coupon", "coupon": (await client.v1.coupons.create_async({"percent_off": 50})).id},
            "code": "SPRING",
        }
    )
    with_code = await client.v1.checkout.sessions.create_async(
        {
            "mode": "subscription",
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": SUCCESS_URL,
            "allow_promotion_codes": True,
        }
    )
    portal = await client.v1.billing_portal.sessions.create_async({"customer": customer.id})
    async with running_chromium() as browser:
        context = await browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
        )
        page = await context.new_page()
        for address in (session.url, f"{sandbox.url}/checkout/{session.id}/authenticate", portal.url):
            await page.goto(str(address))
            assert await _faults(page) == []
            assert await _fits(page)
        await page.goto(str(with_code.url))
        for typed in ("AUTUMN", "SPRING"):
            await page.fill("#promotion-code", typed)
            await page.click("#apply-code")
            assert await _faults(page) == []
            assert await _fits(page)
        await page.click("#remove-code")
        assert await page.input_value("#promotion-code") == ""
        for path in ("/", "/events", "/mail", "/objects/customer", "/checkout/none"):
            await page.goto(sandbox.url + path)
            assert await _faults(page) == [], path
            assert await _fits(page), path


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
async def test_the_pages_of_webhooks_and_of_debits_are_accessible_and_fit_the_screen(
    client: stripe.StripeClient,
    controls: Controls,
    sandbox: Running,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    await client.v1.webhook_endpoints.create_async({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    await asyncio.to_thread(controls.post, "faults", hold=True)
    await asyncio.to_thread(ada, client)
    sent = (await asyncio.to_thread(controls.get, "deliveries"))["data"][0]["id"]
    euros = await client.v1.checkout.sessions.create_async(
        {
            "mode": "payment",
            "line_items": [
                {
                    "price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Pack"}},
                    "quantity": 1,
                }
            ],
            "success_url": SUCCESS_URL,
        }
    )
    async with running_chromium() as browser:
        context = await browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
        )
        page = await context.new_page()
        for path in ("/deliveries", f"/deliveries/{sent}", "/faults", "/objects/customer"):
            await page.goto(sandbox.url + path)
            assert await _faults(page) == [], path
            assert await _fits(page), path
        await page.goto(str(euros.url))
        await page.get_by_label("SEPA Direct Debit").check()
        await page.click("#pay")
        assert await page.get_by_label("IBAN").is_visible()
        assert await _faults(page) == []
        assert await _fits(page)


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
async def test_every_page_of_the_portal_is_accessible_and_fits_the_screen(
    client: stripe.StripeClient,
    browser: Browser,
    controls: Controls,
    sandbox: Running,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    customer = await asyncio.to_thread(ada, client)
    price = await asyncio.to_thread(starter_price, client)
    plus = await asyncio.to_thread(starter_price, client, amount=2900)
    small = await asyncio.to_thread(starter_price, client, amount=100)
    session = await asyncio.to_thread(subscribing, client, customer.id, price.id)
    await asyncio.to_thread(browser.pay, session, "4000000000000341")
    live = (await client.v1.subscriptions.list_async()).data[0]
    portal = await client.v1.billing_portal.sessions.create_async({"customer": customer.id, "return_url": sandbox.url})
    await asyncio.to_thread(browser.open, f"{portal.url}/confirm/{live.id}", {"price": small.id})
    declined = {"number": "4000000000000002", "expiry": "12 / 40", "cvc": "123", "name": "Ada"}
    async with running_chromium() as chromium:
        context = await chromium.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
        )
        page = await context.new_page()
        for step in ("", f"/update/{live.id}", f"/confirm/{live.id}?price={plus.id}", f"/cancel/{live.id}", "/card"):
            await page.goto(portal.url + step)
            assert await _faults(page) == [], step
            assert await _fits(page), step
        for name, typed in declined.items():
            await page.fill(f"[name={name}]", typed)
        await page.get_by_role("button", name="Save card").click()
        assert await _faults(page) == []
        await asyncio.to_thread(controls.post, "clock/advance", seconds=40 * 86_400)
        invoice = (await client.v1.invoices.list_async()).data[0]
        for address in (portal.url, str(invoice.hosted_invoice_url)):
            await page.goto(address)
            assert await _faults(page) == [], address
            assert await _fits(page), address


@pytest.mark.browser
async def test_a_purchase_without_javascript_after_a_declined_card(
    client: stripe.StripeClient, sandbox: Running
) -> None:
    customer = await asyncio.to_thread(ada, client)
    price = await asyncio.to_thread(starter_price, client)
    session = await client.v1.checkout.sessions.create_async(
        {
            "mode": "subscription",
            "customer": customer.id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": f"{sandbox.url}/?paid={{CHECKOUT_SESSION_ID}}",
        }
    )
    async with running_chromium() as browser:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(str(session.url))
        await page.get_by_label("Card number").fill("4000 0000 0000 0002")
        await page.get_by_label("Expiry").fill("12 / 40")
        await page.get_by_label("CVC").fill("123")
        await page.get_by_label("Name on card").fill("Ada Lovelace")
        await page.get_by_role("button", name="Subscribe").click()
        assert "Your card was declined." in await page.get_by_role("alert").inner_text()
        assert await page.get_by_label("Name on card").input_value() == "Ada Lovelace"
        await page.get_by_label("Card number").fill("4242 4242 4242 4242")
        await page.get_by_label("CVC").fill("123")
        await page.get_by_role("button", name="Subscribe").click()
        await page.wait_for_url(f"**/?paid={session.id}")
    paid = await client.v1.checkout.sessions.retrieve_async(session.id)
    assert paid.payment_status == "paid"
