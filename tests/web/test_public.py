"""Pages for visitors: what is sold, in which language, and the headers that guard every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.web.street import Person, Street, opened

PAGES = ("/", "/pricing", "/signup", "/login", "/reset", "/verify", "/nowhere")


@pytest.mark.row("S15", "S1", "S5")
async def test_plans_stand_side_by_side_with_sessions_first(aigate: Street) -> None:
    async with aigate.somebody() as visitor:
        page = (await visitor.open("/pricing")).text
    cards = re.findall(r'data-plan="(\w+)">(.*?)</li>\s*(?=<li|</ul>)', page, re.S)
    names = [name for name, _ in cards]
    assert names[:3] == ["free", "starter", "growth"]
    for (_, card), sessions, price in zip(cards, ("100", "5,000", "20,000"), ("Free", "$29", "$99"), strict=False):
        assert card.index(f'<p class="figure">{sessions}</p>') < card.index(price, card.index('class="figure"'))
    assert aigate.house.catalog.product.provider_note
    assert aigate.house.catalog.product.provider_note in page


@pytest.mark.row("A2")
async def test_every_plan_shows_its_price_and_credits(aurion: Street) -> None:
    async with aurion.somebody() as visitor:
        page = (await visitor.open("/pricing")).text
    for credits, price in (("1,000", "$9"), ("4,000", "$29"), ("15,000", "$99"), ("100,000", "$499")):
        assert f'<p class="figure">{credits}</p>' in page
        assert f">{price}</span>" in page


@pytest.mark.row("U1")
async def test_month_and_year_are_switched_without_a_script(schema_url: str, tmp_path: Path) -> None:
    async with opened(schema_url, "upiik", tmp_path) as upiik, upiik.somebody() as visitor:
        monthly, yearly = (await visitor.open("/pricing")).text, (await visitor.open("/pricing?every=year")).text
        assert ">€4</span>" in monthly
        assert ">€30</span>" in yearly
        assert "38% less" in yearly
        assert 'href="/signup?plan=premium&amp;every=year"' in yearly


async def test_the_language_is_asked_for_remembered_or_the_browsers(aurion: Street) -> None:
    async with aurion.somebody("fr-CA,fr;q=0.9,en;q=0.5") as visitor:
        assert '<html lang="fr">' in (await visitor.open("/pricing")).text
        assert '<html lang="en">' in (await visitor.open("/pricing?lang=en")).text
        assert '<html lang="en">' in (await visitor.open("/pricing")).text
    async with aurion.somebody("de") as visitor:
        page = (await visitor.open("/pricing")).text
        assert '<html lang="fr">' in page
        assert "1\u202f000" in page
        assert "9\u00a0$" in page


async def test_every_page_is_guarded_and_runs_only_our_own_script(aurion: Street, ada: Person) -> None:
    for path in (*PAGES, "/app", "/app/tools", "/app/tools/app-builder", "/app/billing", "/app/settings"):
        answer = await ada.open(path)
        if answer.status_code == 303:
            continue
        policy = answer.headers["content-security-policy"]
        nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
        assert nonce is not None
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.findall(r"\son\w+=|\sstyle=|javascript:", answer.text)
        for tag in re.findall(r"<script[^>]*>|<link rel=\"stylesheet\"[^>]*>|<style[^>]*>", answer.text):
            assert f'nonce="{nonce[1]}"' in tag
        assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!127\.0\.0\.1)', answer.text)


async def test_static_files_have_their_hash_in_the_name_and_are_kept(aurion: Street) -> None:
    async with aurion.somebody() as visitor:
        page = (await visitor.open("/")).text
        paths = re.findall(r'"(/static/[^"]+)"', page)
        assert len(paths) == 3
        for path in paths:
            answer = await visitor.open(path)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (await visitor.open("/static/tollhouse.000000000000.css")).status_code == 404


async def test_an_address_that_leads_nowhere_is_a_page_for_browsers(aurion: Street) -> None:
    async with aurion.somebody("fr") as visitor:
        answer = await visitor.open("/nulle-part")
    assert (answer.status_code, "Cette page n’existe pas" in answer.text) == (404, True)
