"""What staff see, and that nobody else does."""

from __future__ import annotations

import re

import pytest

from tests.web.street import Person, Street
from tollhouse.store import inbox

PAGES = (
    "/admin",
    "/admin/customers/user_1",
    "/admin/webhooks",
    "/admin/webhooks/evt_1",
    "/admin/webhooks/replay",
    "/admin/alerts",
    "/admin/refusals",
    "/admin/reconciliation",
    "/admin/reconciliation/rec_1",
    "/admin/customers/user_1/quotes",
    "/admin/unmapped",
    "/admin/hooks",
    "/admin/hooks/hke_1",
    "/admin/hooks/hke_1/evt_1",
    "/admin/moves",
    "/admin/moves?from=",
)


async def park(aurion: Street, event: str, error: str) -> None:
    """An event of Stripe's that could not be handled."""
    now = aurion.house.store.clock.now_ms()
    async with aurion.house.store.transaction() as tx:
        await inbox.receive(tx, "stripe", event, "invoice.payment_succeeded", "cus_x", '{"id": "evt"}', now)
        (claimed,) = await inbox.claim(tx, now, 60_000, "claim")
        await inbox.park(tx, claimed, "claim", attempts=12, error=error)


async def status_of(aurion: Street, event: str) -> str:
    async with aurion.house.store.reading() as tx:
        found = await inbox.read(tx, "stripe", event)
    assert found is not None
    return found.status


@pytest.mark.parametrize("path", PAGES)
async def test_customers_and_strangers_see_nothing(aurion: Street, ada: Person, path: str) -> None:
    refused = await ada.open(path)
    assert (refused.status_code, "You may not see this page" in refused.text) == (403, True)
    async with aurion.somebody() as stranger:
        assert (await stranger.open(path)).headers["location"].startswith("/login?next=")


async def test_staff_find_a_customer_and_read_the_book(aurion: Street, ada: Person, grace: Person) -> None:
    await ada.submit("/app/tools/app-builder", "/app/tools/app-builder")
    found = (await grace.open("/admin?search=ADA@")).text
    assert "ada@example.com" in found
    assert found.count('href="/admin/customers/') == 1
    customer = await aurion.customer("ada@example.com")
    page = (await grace.open(f"/admin/customers/{customer}")).text
    assert "launch_tool_app-builder" in page
    assert re.search(r'<span class="figure">50</span><span class="muted">left of 100</span>', page)


@pytest.mark.parametrize("search", ["%", "_", "!", "100%", "' or 1=1 --"])
async def test_signs_of_the_database_are_letters_like_others(ada: Person, grace: Person, search: str) -> None:
    page = await grace.client.get("/admin", params={"search": search})
    assert (page.status_code, "Nobody found" in page.text) == (200, True)


async def test_an_unknown_customer_is_a_page_that_says_so(grace: Person) -> None:
    assert (await grace.open("/admin/customers/nobody")).status_code == 404


@pytest.mark.row("S9")
async def test_a_parked_event_shows_its_error_and_is_replayed(aurion: Street, grace: Person) -> None:
    await park(aurion, "evt_parked", "the price price_1 belongs to no plan")
    page = (await grace.open("/admin/webhooks")).text
    assert "the price price_1 belongs to no plan" in page
    assert "evt_parked" in (await grace.open("/admin/webhooks/evt_parked")).text
    done = await grace.submit("/admin/webhooks", "/admin/webhooks/evt_parked/replay")
    assert done.status_code == 303
    assert await status_of(aurion, "evt_parked") == "pending"


async def test_a_replay_needs_the_form(aurion: Street, grace: Person, ada: Person) -> None:
    await park(aurion, "evt_parked", "wrong")
    assert (await grace.client.post("/admin/webhooks/evt_parked/replay")).status_code == 403
    assert (await ada.client.post("/admin/webhooks/evt_parked/replay")).status_code == 403
    assert await status_of(aurion, "evt_parked") == "parked"


async def test_refusals_are_counted_by_reason(aurion: Street, ada: Person, grace: Person) -> None:
    for _ in range(2):
        await ada.submit("/app/tools/app-builder", "/app/tools/app-builder")
    page = (await ada.open("/app/tools/video-studio")).text
    assert "Credits exhausted" in page
    fields = re.search(r'name="key" value="(\w+)"', page)
    token = re.search(r'name="csrf" value="([\w-]+)"', page)
    assert fields is not None
    assert token is not None
    await ada.client.post("/app/tools/video-studio", data={"key": fields[1], "csrf": token[1]})
    await aurion.house.admission.refusals.flush(aurion.house.store)
    page = (await grace.open("/admin/refusals")).text
    assert "credits_exhausted" in page
    assert "launch_tool_video-studio" in page


async def test_staff_ask_for_a_comparison_with_stripe_and_read_it(aurion: Street, ada: Person, grace: Person) -> None:
    assert "Nothing was compared yet" in (await grace.open("/admin/reconciliation")).text
    asked = await grace.submit("/admin/reconciliation", "/admin/reconciliation", why="a doubt", mode="show")
    assert asked.status_code == 303
    page = (await grace.open(asked.headers["location"])).text
    assert "a doubt" in page
    assert "grace@example.com" in page
    assert "Differences were shown only" in page
    again = await grace.submit("/admin/reconciliation", "/admin/reconciliation", mode="show")
    assert again.headers["location"] == asked.headers["location"]  # the one that is not finished
    customer = await aurion.customer("ada@example.com")
    nobody = await grace.submit("/admin/reconciliation", "/admin/reconciliation", customer=customer, mode="show")
    assert nobody.status_code == 404
    assert (await ada.client.post("/admin/reconciliation")).status_code == 403
