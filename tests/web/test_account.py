"""What customers see of their plan and its use."""

from __future__ import annotations

import csv
import io
import re

import pytest

from tests.web.street import Person, Street
from tollhouse.ledger import actions as ledger
from tollhouse.pages import texts_in
from tollhouse.store import Sql
from tollhouse.web.views import browser_name


async def use_sessions(aigate: Street, customer: str, count: int) -> None:
    """Debit sessions beside the lanes, as many as wanted at once."""
    now = aigate.house.store.clock.now_ms()
    async with aigate.house.store.transaction() as tx:
        await ledger.take_in_transaction(
            tx, aigate.house.catalog, customer, {"sessions": count}, "realtime_session", now
        )


@pytest.mark.row("S14")
@pytest.mark.parametrize(
    ("used", "left", "state"),
    [(79, "21", ""), (80, "20", "Over 80% used"), (95, "5", "Over 80% used"), (100, "0", "Used up")],
)
async def test_the_bar_warns_from_80_percent(aigate: Street, used: int, left: str, state: str) -> None:
    async with aigate.somebody() as ada:
        await ada.sign_up()
        await use_sessions(aigate, await aigate.customer("ada@example.com"), used)
        page = (await ada.open("/app")).text
    card = page.split('data-meter="sessions"')[1].split("</section>")[0]
    assert f'data-live="sessions:remaining">{left}</span>' in card
    assert f'aria-valuenow="{used}" aria-valuetext="{used} of 100 used"' in card
    assert f"about {2 * used} minutes" in card
    warnings = [text for text in ("Over 80% used", "Used up") if text in card]
    assert warnings == ([state] if state else [])


async def test_an_empty_bar_is_not_full(aigate: Street) -> None:
    async with aigate.somebody() as ada:
        await ada.sign_up()
        page = (await ada.open("/app")).text
    card = page.split('data-meter="sessions"')[1].split("</section>")[0]
    assert "bar-fill" not in card
    assert 'aria-valuenow="0"' in card


@pytest.mark.row("S3")
async def test_one_project_too_many_says_which_plan_allows_more(ada: Person) -> None:
    answer = await ada.submit("/app/projects", "/app/projects", name="Second")
    assert answer.status_code == 403
    assert "The plan Starter allows more." in answer.text
    assert 'value="Second"' in answer.text
    assert (await ada.open("/app/projects")).text.count("th_pk_") == 1


async def test_the_log_as_csv_is_the_whole_book(ada: Person) -> None:
    for _ in range(2):
        await ada.submit("/app/tools/app-builder", "/app/tools/app-builder")
    answer = await ada.open("/app/usage.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action"] for row in rows][:2] == ["launch_tool_app-builder"] * 2
    assert sum(float(row["credits"] or 0) for row in rows) == 0
    assert rows[0]["remaining"] == "0"


async def test_the_log_goes_on_by_cursor(aurion: Street, ada: Person) -> None:
    customer = await aurion.customer("ada@example.com")
    now = aurion.house.store.clock.now_ms()
    async with aurion.house.store.transaction() as tx:
        for _ in range(60):
            await ledger.take_in_transaction(tx, aurion.house.catalog, customer, {"credits": 1000}, "chat", now)
    first = (await ada.open("/app/usage")).text
    older = re.search(r'href="(/app/usage\?after=[^"]+)"', first)
    assert older is not None
    second = (await ada.open(older[1])).text
    assert first.count("<tr>") - 1 == 50
    assert second.count("<tr>") - 1 == 63 - 50
    assert "Account opened" in second


async def test_live_figures_are_those_of_the_page(ada: Person) -> None:
    await ada.submit("/app/tools/app-builder", "/app/tools/app-builder")
    news = (await ada.open("/app/live")).json()
    assert news["words"]["credits:remaining"] == "50"
    assert news["bars"]["credits"] == {"percent": 50, "words": "50 of 100 used"}


@pytest.mark.parametrize(("standing", "title"), [("past_due", "did not go through"), ("blocked", "is blocked")])
async def test_a_standing_is_told_on_every_page(aurion: Street, ada: Person, standing: str, title: str) -> None:
    customer = await aurion.customer("ada@example.com")
    async with aurion.house.store.transaction() as tx:
        now = aurion.house.store.clock.now_ms()
        await ledger.block(tx, aurion.house.catalog, customer, standing, now, "test")  # type: ignore[arg-type]
    for path in ("/app", "/app/tools", "/app/billing", "/app/settings"):
        assert title in (await ada.open(path)).text
    assert re.search(r'<button[^>]*id="launch" disabled', (await ada.open("/app/tools/app-builder")).text)


async def test_buying_without_stripe_says_so_and_names_no_secret(ada: Person) -> None:
    answer = await ada.submit("/pricing", "/app/billing/checkout", plan="starter", every="month")
    assert (answer.status_code, "Closed for a moment" in answer.text) == (503, True)
    assert "retry-after" in answer.headers


async def test_a_changed_password_ends_the_other_sessions(aurion: Street, ada: Person) -> None:
    async with aurion.somebody() as phone:
        await phone.submit("/login", "/login", email="ada@example.com", password="quatre mots bien choisis")
        done = await ada.submit(
            "/app/settings",
            "/app/settings/password",
            present="quatre mots bien choisis",
            password="cinq autres mots encore",
        )
        assert done.headers["location"] == "/app/settings?done=password"
        assert (await phone.open("/app")).status_code == 303
    assert (await ada.open("/app")).status_code == 200


async def test_a_name_full_of_markup_is_text(aurion: Street) -> None:
    async with aurion.somebody() as mallory:
        await mallory.submit(
            "/signup", "/signup", name="<script>alert(1)</script>", email="m@example.com", password="quatre mots bien"
        )
        for path in ("/app", "/app/settings", "/app/projects?done=<script>alert(1)</script>"):
            assert "<script>alert" not in (await mallory.open(path)).text


async def test_a_broken_page_is_designed_and_tells_nothing_inside(aurion: Street, ada: Person) -> None:
    async with aurion.house.store.transaction() as tx:
        await tx.execute(Sql("update account set state = '{\"broken\": true}'"))
    answer = await ada.open("/app")
    assert (answer.status_code, "Something went wrong" in answer.text) == (500, True)
    assert "Traceback" not in answer.text
    assert "broken" not in answer.text


async def test_the_prices_show_which_plan_is_yours(aurion: Street, ada: Person) -> None:
    page = (await ada.open("/pricing")).text
    cards = dict(re.findall(r'data-plan="(\w+)">(.*?)</li>\s*(?=<li|</ul>)', page, re.S))
    assert [name for name, card in cards.items() if "Your plan" in card] == ["free"]
    assert "Choose Starter" in cards["starter"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.9", "curl/8.9"),
    ],
)
def test_sessions_are_named_as_people_name_them(agent: str, name: str) -> None:
    assert browser_name(agent, texts_in("en")) == name
