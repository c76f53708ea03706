"""What customers see while new purchases are paused: until when, on the pages and in place of Stripe's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.street import Person, Street, opened
from tollhouse.billing import maintenance
from tollhouse.kernel.clock import HOUR
from tollhouse.pages.formats import moment


async def switch_on(street: Street) -> int:
    store = street.house.store
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        begun = await maintenance.switch_on(tx, by_whom="grace", reason="secret plans", lasts_ms=HOUR, now=now)
    return begun.ends_at


async def sign_up(street: Street, person: Person) -> None:
    assert (await person.sign_up()).status_code == 303


@pytest.mark.row("U11")
async def test_who_buys_sees_a_page_with_the_end_in_their_language(schema_url: str, tmp_path: Path) -> None:
    async with (
        opened(schema_url, "aurion", tmp_path, STRIPE_SECRET_KEY="sk_test_pages") as street,
        street.somebody() as ada,
    ):
        await sign_up(street, ada)
        # The page was open when it began: its button still works, and leads to the page of maintenance.
        page = (await ada.open("/pricing")).text
        ends_at = await switch_on(street)
        for fields in ({"plan": "starter", "every": "month"}, {"pack": "recharge"}):
            answer = await ada.client.post("/app/billing/checkout", data=hidden(page) | fields)
            assert answer.status_code == 503
            assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
            assert "New purchases are paused" in answer.text
            assert f"Until {moment(ends_at, 'en')} no plan" in answer.text
            assert 'href="/pricing"' in answer.text
            assert "secret plans" not in answer.text, "the reason is for staff"
        french = await ada.client.post("/app/billing/checkout?lang=fr", data=hidden(page) | {"plan": "starter"})
        assert "Les achats sont suspendus" in french.text
        assert moment(ends_at, "fr").split(",")[0] in french.text


@pytest.mark.row("U11")
async def test_the_pages_say_so_and_their_buttons_stand_still(schema_url: str, tmp_path: Path) -> None:
    async with (
        opened(schema_url, "aurion", tmp_path, STRIPE_SECRET_KEY="sk_test_pages") as street,
        street.somebody() as ada,
        street.somebody() as visitor,
    ):
        await sign_up(street, ada)
        for path in ("/pricing", "/app/billing"):
            page = (await ada.open(path)).text
            assert "paused" not in page
            assert " disabled" not in page
        until = moment(await switch_on(street), "en")
        for path in ("/pricing", "/app/billing"):
            page = (await ada.open(path)).text
            assert f"New purchases are paused until {until}" in page
            buttons = [part for part in page.split("<form")[1:] if 'action="/app/billing/checkout"' in part]
            assert buttons
            assert all("<button" not in part or " disabled" in part for part in buttons)
        assert f"paused until {until}" in (await visitor.open("/pricing")).text
        assert (await ada.open("/app")).status_code == 200
        street.house.store.clock.test_offset_ms += HOUR
        assert "paused until" not in (await ada.open("/pricing")).text


def hidden(page: str) -> dict[str, str]:
    return {"csrf": page.split('name="csrf" value="')[1].split('"')[0]}
