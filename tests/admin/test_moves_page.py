"""Staff see on a page who would move to another plan and how far the moves are; nothing is moved by a click."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.web.street import Person, Street
from tollhouse.admin import moves
from tollhouse.billing import moves_found
from tollhouse.billing.moves import Choice
from tollhouse.billing.moving import Mover
from tollhouse.store import Sql


def sold_anew(aurion: Street) -> None:
    """The free plan launches from another content from now on, as after a restart with a changed file."""
    catalog = aurion.house.catalog
    old = catalog.plans["free"]
    grants = tuple(msgspec.structs.replace(grant, amount=grant.amount * 2) for grant in old.grants)
    newer = msgspec.structs.replace(old, version=2, grants=grants)
    catalog.plans["free"] = newer
    catalog.versions["free", 2] = newer


@pytest.mark.row("S18", "X4")
async def test_who_would_move_and_how_far_it_is_stand_on_a_page(aurion: Street, ada: Person, grace: Person) -> None:
    page = (await grace.open("/admin/moves")).text
    assert "No move yet" in page
    assert "Would move" not in page
    assert "Nobody would move" in (await grace.open("/admin/moves?from=&to=")).text

    sold_anew(aurion)
    page = (await grace.open("/admin/moves?from=&to=")).text
    assert "free@1" in page
    assert "free@2" in page
    assert "100 → 200" in page
    assert "2 accounts were looked at; nothing was changed." in page
    async with aurion.house.store.reading() as tx:
        assert await tx.fetch(Sql("select 1 as one from plan_move")) == []

    mover = Mover(aurion.house.store, aurion.house.catalog, None, "http://127.0.0.1:8787")
    _ = [step async for step in mover.notify(Choice(), None)]
    _ = [step async for step in mover.apply(Choice())]
    page = (await grace.open("/admin/moves?from=free@1&to=")).text
    assert "Nobody would move" in page
    assert "No move yet" not in page
    assert (await ada.client.get("/admin/moves")).status_code == 403


async def test_the_page_counts_so_many_in_small_batches_and_says_so(
    aurion: Street, ada: Person, grace: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold_anew(aurion)
    looked, whole = list[int](), moves_found._moves_of

    async def watched(tx: Any, catalog: Any, choice: Any, rows: list[Any], now: int) -> Any:
        looked.append(len(rows))
        return await whole(tx, catalog, choice, rows, now)

    monkeypatch.setattr(moves_found, "_moves_of", watched)
    monkeypatch.setattr(moves_found, "AT_ONCE_BESIDE_OTHERS", 1)
    assert "Only the first" not in (await grace.open("/admin/moves?from=&to=")).text
    assert looked == [1, 1]
    monkeypatch.setattr(moves, "MOST_COUNTED", 1)
    page = (await grace.open("/admin/moves?from=&to=")).text
    assert "Only the first 1 of these customers" in page
    assert '<td class="number">1</td>' in page
    assert '<td class="number">2</td>' not in page


async def test_what_cannot_be_meant_is_told_on_the_page(aurion: Street, grace: Person) -> None:
    page = (await grace.open("/admin/moves?from=gold")).text
    assert "This move has no meaning" in page
    assert "name one of:" in page
