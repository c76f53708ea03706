"""The pricing page in several currencies: a choice for visitors, their own for those who have bought (row X12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.street import hidden_fields, opened
from tollhouse.store import Sql

_LINK = Sql(
    "insert into stripe_customer (id, customer, linked_at, sync_seq, currency) values ('cus_1', :c, 0, 0, :own)"
)


def _in_yen(text: str) -> str:
    """Upiik, also by the month in yen, with a pack in euros."""
    priced = text.replace(
        '{ amount = 400, currency = "eur", every = "month" },',
        '{ amount = 400, currency = "eur", every = "month" }, { amount = 650, currency = "jpy", every = "month" },',
    )
    return priced + '\n[packs.refill]\ncredits = { tokens = 50 }\nprices = [{ amount = 300, currency = "eur" }]\n'


@pytest.mark.row("X12")
async def test_a_visitor_chooses_and_takes_the_choice_along(schema_url: str, tmp_path: Path) -> None:
    async with opened(schema_url, "upiik", tmp_path, _in_yen) as upiik, upiik.somebody() as visitor:
        first, yen = (await visitor.open("/pricing")).text, (await visitor.open("/pricing?currency=jpy")).text
        assert 'href="/pricing?currency=jpy"' in first
        assert ">€4</span>" in first
        assert ">¥650</span>" in yen
        assert 'href="/signup?plan=premium&amp;every=month&amp;currency=jpy"' in yen
        assert ("38% less" in first, "38% less" in yen) == (True, False)
        assert ">€3</span>" in yen, "what is not sold in yen stays on sale before the first purchase"
        assert ">€4</span>" in (await visitor.open("/pricing?currency=xxx")).text
        entered = await visitor.sign_up(path="/signup?plan=premium&every=month&currency=jpy")
        assert entered.headers["location"] == "/pricing?plan=premium&every=month&currency=jpy"
        form = hidden_fields((await visitor.open(entered.headers["location"])).text, "/app/billing/checkout")
        assert (form["plan"], form["every"], form["currency"]) == ("premium", "month", "jpy")


@pytest.mark.row("X12")
@pytest.mark.parametrize(
    ("own", "shown", "hidden"), [("jpy", ">¥650</span>", "€"), ("usd", "Not sold in your currency.", "Choose Premium")]
)
async def test_who_has_bought_sees_prices_in_its_own_currency_only(
    schema_url: str, tmp_path: Path, own: str, shown: str, hidden: str
) -> None:
    async with opened(schema_url, "upiik", tmp_path, _in_yen) as upiik, upiik.somebody() as ada:
        await ada.sign_up()
        async with upiik.house.store.transaction() as tx:
            await tx.execute(_LINK, c=await upiik.customer("ada@example.com"), own=own)
        page = (await ada.open("/pricing?currency=eur")).text
        assert f"You pay in {own.upper()}, as with your first purchase." in page
        assert shown in page
        assert hidden not in page
        assert "€" not in (await ada.open("/app/billing")).text
