"""Staff quote a price on a page; the customer sees it with the plans and on its billing page; staff withdraw it."""

from __future__ import annotations

import re

import pytest

from tests.web.street import Person, Street
from tollhouse.store import Sql


async def page_of(aurion: Street) -> str:
    return f"/admin/customers/{await aurion.customer('ada@example.com')}/quotes"


@pytest.mark.row("S22")
async def test_staff_quote_and_the_customer_sees_it_everywhere(aurion: Street, ada: Person, grace: Person) -> None:
    path = await page_of(aurion)
    assert "No quote yet" in (await grace.open(path)).text
    done = await grace.submit(
        path, path, plan="starter:month", kind="percent", value="20", duration="months", months="3", days="30",
        reason="fifty seats",
    )  # fmt: skip
    assert done.status_code == 303
    page = (await grace.open(path)).text
    assert "20% off" in page
    assert "fifty seats" in page
    assert "grace@example.com" in page
    prices = (await ada.open("/pricing")).text
    assert "$7.20 a month in place of $9, for 3 months." in prices
    assert prices.count("data-quote=") == 1
    assert "A price of your own for Starter" in (await ada.open("/app/billing")).text
    assert "data-quote=" not in (await grace.open("/pricing")).text, "it is Ada's alone"

    name = re.search(r"quo_\w{26}", page)
    assert name is not None
    refused = await grace.submit(path, f"{path}/{name[0]}/withdraw", why="")
    assert refused.status_code == 422
    gone = await grace.submit(path, f"{path}/{name[0]}/withdraw", why="a mistake")
    assert gone.status_code == 303
    assert "grace@example.com: a mistake" in (await grace.open(path)).text
    assert "data-quote=" not in (await ada.open("/pricing")).text


async def test_what_cannot_be_quoted_keeps_the_form_and_says_why(aurion: Street, ada: Person, grace: Person) -> None:
    path = await page_of(aurion)
    fields = {
        "plan": "starter:month",
        "kind": "price",
        "value": "12",
        "duration": "forever",
        "days": "30",
        "reason": "why",
    }
    wrong = await grace.submit(path, path, **fields)
    assert wrong.status_code == 422
    assert "is not below the plan&#39;s price" in wrong.text
    assert 'value="12"' in wrong.text
    for more in ({"value": "8", "days": "soon"}, {"value": "8", "days": "9999"}, {"value": "8", "reason": ""}):
        assert (await grace.submit(path, path, **fields | more)).status_code == 422
    assert (await grace.submit(path, path, **fields | {"value": "8"})).status_code == 303
    assert (await grace.submit(path, path, **fields | {"value": "7"})).status_code == 409
    assert (await ada.client.post(path, data=fields)).status_code == 403


@pytest.mark.row("A21")
async def test_purchases_without_a_plan_stand_on_a_page_and_are_replayed(
    aurion: Street, ada: Person, grace: Person
) -> None:
    assert "Every purchase has its plan" in (await grace.open("/admin/unmapped")).text
    customer = await aurion.customer("ada@example.com")
    store = aurion.house.store
    async with store.transaction() as tx:
        row = await tx.fetch_one(Sql("select cell from account where customer = :customer"), customer=customer)
        assert row is not None
        now = store.clock.now_ms()
        await tx.execute(
            Sql("insert into stripe_customer (id, customer, linked_at, sync_seq) values ('cus_s', :customer, :now, 0)"),
            customer=customer, now=now,
        )  # fmt: skip
        await tx.execute(
            Sql(
                "insert into subscription (cell, customer, id, status, price, every, currency, amount_minor, created_at,"
                " period_start, period_end) values (:cell, :customer, 'sub_1', 'active', 'price_forgotten', 'month', 'usd',"
                " 1900, :now, :now, :now)"
            ),
            cell=row["cell"], customer=customer, now=now,
        )  # fmt: skip
    page = (await grace.open("/admin/unmapped")).text
    assert "price_forgotten" in page
    assert "$19 a month" in page
    assert (await grace.submit("/admin/unmapped", "/admin/unmapped/replay")).status_code == 303
    async with store.reading() as tx:
        rows = await tx.fetch(Sql("select subject, status from inbox"))
    assert [(row["subject"], row["status"]) for row in rows] == [("cus_s", "pending")]
    assert (await ada.client.post("/admin/unmapped/replay")).status_code == 403
