"""What lapses in the transaction of another request is written with that request, and counts once."""

from __future__ import annotations

import pytest

from tests.ledger.lives import BEN, Town
from tollhouse.admission import holds
from tollhouse.admission.model import HoldTerms
from tollhouse.admission.refunds import refund
from tollhouse.admission.verify import check_slots
from tollhouse.ledger import actions
from tollhouse.ledger.granting import NewLot
from tollhouse.ledger.verify import verify_all


async def nothing_found(town: Town) -> bool:
    return (await verify_all(town.store, town.catalog, checks=[check_slots])).findings == []


async def test_a_settlement_told_again_keeps_what_lapsed_meanwhile(town: Town) -> None:
    held = await town.ask(BEN, "h-9", {"credits": 1_000}, "hold", HoldTerms(60_000))
    async with town.store.transaction() as tx:
        await holds.settle(tx, town.catalog, held, {"credits": 400}, town.now)
    town.desk.forget(BEN)
    town.later(5 * 90_000)

    async with town.store.transaction() as tx:
        assert (await holds.settle(tx, town.catalog, held, {"credits": 400}, town.now)).replayed is True

    assert await nothing_found(town)


async def test_a_release_told_again_keeps_what_lapsed_meanwhile(town: Town) -> None:
    held = await town.ask(BEN, "h-9", {"credits": 1_000}, "hold", HoldTerms(60_000))
    async with town.store.transaction() as tx:
        await holds.release(tx, town.catalog, held, town.now)
    town.desk.forget(BEN)
    town.later(5 * 90_000)

    async with town.store.transaction() as tx:
        assert (await holds.release(tx, town.catalog, held, town.now)).replayed is True

    assert await nothing_found(town)


@pytest.mark.row("X5")
async def test_a_hold_that_lapses_while_it_is_settled_gives_back_once(town: Town) -> None:
    held = await town.ask(BEN, "h-9", {"credits": 1_000, "sessions": 1}, "hold", HoldTerms(5_000))
    town.later(6_000)

    async with town.store.transaction() as tx:
        answer = await holds.settle(tx, town.catalog, held, {"credits": 400, "sessions": 1}, town.now)

    assert (answer.charged, answer.returned) == ({"credits": answer.charged["credits"], "sessions": 1}, {})
    assert str(answer.charged["credits"]) == "0.4"
    assert await nothing_found(town)


@pytest.mark.row("X5")
async def test_what_a_settlement_took_beyond_the_hold_can_be_refunded_to_a_spent_lot(town: Town) -> None:
    async with town.store.transaction() as tx:
        bought = NewLot("credits", 9_000, "topup")
        await actions.grant(tx, town.catalog, BEN, bought, town.now, key="b", fingerprint=b"b" * 16, reason="bought")
    town.desk.forget(BEN)
    held = await town.ask(BEN, "h-9", {"credits": 1}, "hold", HoldTerms(60_000))
    async with town.store.transaction() as tx:
        settled = await holds.settle(tx, town.catalog, held, {"credits": 5_000_000}, town.now)
        assert settled.shortfall
    async with town.store.transaction() as tx:
        refunded = await refund(
            tx, town.catalog, held, None, town.now, key="r-9", fingerprint=b"r" * 16, reason="wrong"
        )

    assert refunded.returned == settled.charged
    assert refunded.lost == {}
    assert await nothing_found(town)
