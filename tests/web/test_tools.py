"""Launching tools: the debit, the session, and what a page shows at zero."""

from __future__ import annotations

import re

import pytest

from tests.web.street import Person, Street, hidden_fields
from tollhouse.admission.tools import recent

PAGE = "/app/tools/app-builder"


async def launch(person: Person) -> str:
    """Launch the app builder; where that leads."""
    answer = await person.submit(PAGE, PAGE)
    assert answer.status_code == 303
    return answer.headers["location"]


@pytest.mark.row("A4")
async def test_a_launch_debits_and_keeps_who_works_with_which_tool(aurion: Street, ada: Person) -> None:
    address = await launch(ada)
    customer = await aurion.customer("ada@example.com")
    assert (await aurion.meter(customer, "credits")).remaining == 50
    assert "launch_tool_app-builder" in (await ada.open("/app/usage")).text

    page = await ada.open(address)
    assert "<iframe" in page.text
    await ada.submit(address, f"{PAGE}/end")
    async with aurion.house.store.reading() as tx:
        (session,) = await recent(tx, customer)
    assert (session.tool, session.user[:4]) == ("app-builder", "usr_")
    assert session.ended_at is not None
    assert session.ended_at >= session.started_at
    assert "<iframe" not in (await ada.open(address)).text


@pytest.mark.row("A4")
async def test_a_form_sent_twice_is_one_launch(aurion: Street, ada: Person) -> None:
    fields = hidden_fields((await ada.open(PAGE)).text, PAGE)
    first = await ada.client.post(PAGE, data=fields)
    second = await ada.client.post(PAGE, data=fields)
    assert first.headers["location"] == second.headers["location"]
    assert (await aurion.meter(await aurion.customer("ada@example.com"), "credits")).remaining == 50


@pytest.mark.row("A6")
async def test_at_zero_there_is_a_dialog_no_frame_and_no_way_round(aurion: Street, ada: Person) -> None:
    fields = hidden_fields((await ada.open(PAGE)).text, PAGE)
    for _ in range(2):
        await launch(ada)
    page = (await ada.open(PAGE)).text
    assert re.search(r'<dialog[^>]*id="exhausted"[^>]* open', page)
    assert "Credits exhausted" in page
    assert 'href="/pricing?plan=starter"' in page
    assert "<iframe" not in page
    assert re.search(r'<button[^>]*id="launch" disabled', page)

    forced = await ada.client.post(PAGE, data=fields)
    assert forced.status_code == 403
    assert "<iframe" not in forced.text
    assert "Credits exhausted" in forced.text
    assert (await aurion.meter(await aurion.customer("ada@example.com"), "credits")).remaining == 0


async def test_a_session_of_somebody_else_opens_nothing(aurion: Street, ada: Person) -> None:
    address = await launch(ada)
    async with aurion.somebody() as mallory:
        await mallory.sign_up("mallory@example.com")
        assert "<iframe" not in (await mallory.open(address)).text
        frame = await mallory.open(address.replace("?", "/frame?"))
        assert frame.status_code == 404
    assert (await ada.open(address.replace("?", "/frame?"))).status_code == 200


async def test_only_our_own_pages_may_frame_ours(ada: Person) -> None:
    address = await launch(ada)
    page, frame = await ada.open(address), await ada.open(address.replace("?", "/frame?"))
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in frame.headers["content-security-policy"]
    assert frame.headers["x-frame-options"] == "SAMEORIGIN"


async def test_an_unknown_tool_is_a_page_that_says_so(ada: Person) -> None:
    answer = await ada.open("/app/tools/nothing")
    assert (answer.status_code, "There is no such page" in answer.text) == (404, True)
