"""Staff see what was paid for each lot (row X9)."""

from __future__ import annotations

import re

import pytest

from tests.web.street import Person, Street
from tollhouse.kernel.money import Money
from tollhouse.ledger.actions import grant, take_in_transaction
from tollhouse.ledger.granting import NewLot


@pytest.mark.row("X9")
async def test_staff_see_what_was_paid_deferred_and_earned(aurion: Street, ada: Person, grace: Person) -> None:
    customer = await aurion.customer("ada@example.com")
    catalog, store = aurion.house.catalog, aurion.house.store
    meter = next(meter for meter in catalog.meters.values() if meter.kind == "credits")
    one = 10**meter.decimals
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        lot = NewLot(meter.name, 500 * one, "topup", now + 60_000_000)
        paid = Money(1_999, "eur")
        made = await grant(tx, catalog, customer, lot, now, key="k", fingerprint=b"k", reason="by wire", paid=paid)
        await take_in_transaction(tx, catalog, customer, {meter.name: 100 * one}, "used", now)
    page = (await grace.open(f"/admin/customers/{customer}")).text
    row = re.search(rf'<tr data-lot="{made.lot}">(.*?)</tr>', page, re.S)
    assert row is not None
    assert "by wire" in row[1]
    assert [figure.strip() for figure in re.findall(r'<td class="number">(€[\d.]+)', row[1])] == [
        "€19.99", "€16", "€3.99",
    ]  # fmt: skip
