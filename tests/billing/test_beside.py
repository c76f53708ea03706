"""One customer's payments beside Stripe's own record: both are shown, what differs is marked, and nothing is changed."""

from __future__ import annotations

import json

import pytest

from tests.billing.test_packs import SELLING
from tests.billing.world import World, opened
from tollhouse.billing import actions, beside, reconciling
from tollhouse.billing.beside import read_beside, told
from tollhouse.billing.setup import ensure_prices
from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.kernel.errors import NotFound
from tollhouse.store import Sql

FENCE = Sql("select sync_seq from stripe_customer")


async def read(world: World, customer: str) -> beside.Beside:
    return await read_beside(world.store, world.catalog, world.gateway, customer)


@pytest.mark.row("U9")
async def test_a_lost_purchase_is_seen_at_stripe_and_marked_and_nothing_is_changed(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.new_events()  # lost

    for _ in range(2):
        found = await read(world, ada)
        assert (found.ours.subscription, found.ours.invoices, found.silence) == (None, [], None)
        assert found.stripe is not None
        [subscription], [invoice] = found.stripe.subscriptions, found.stripe.invoices
        assert (subscription.status, subscription.cancel_at, subscription.differs) == ("active", None, True)
        assert [(line.amount.amount_minor, line.every, line.quantity) for line in subscription.prices] == [
            (900, "month", 1)
        ]
        assert (invoice.status, invoice.due.amount_minor, invoice.paid.amount_minor, invoice.differs) == (
            "paid",
            900,
            900,
            True,
        )
        lines = {line.field: (line.ours, line.stripes) for line in found.stripe.differences}
        assert lines["plan"] == ("free (version 1)", "starter (version 1)")
        assert (await world.state(ada)).plan == "free"
    async with world.store.reading() as tx:
        assert [row["sync_seq"] for row in await tx.fetch(FENCE)] == [0]
        assert await reconciling.runs(tx) == []

    run, repaired = await reconciling.reconcile_customer(
        world.store, world.catalog, world.gateway, ada, by_whom="grace", why="she asked"
    )
    assert (run.looked, run.different, run.by_whom, run.finished_at is not None) == (1, 1, "grace", True)
    assert {line.field: (line.ours, line.stripes) for line in repaired} == lines
    found = await read(world, ada)
    assert found.stripe is not None
    assert found.stripe.differences == []
    assert [one.differs for one in found.stripe.subscriptions] == [False]
    assert [one.differs for one in found.stripe.invoices] == [False]
    assert found.ours.subscription is not None
    assert found.ours.subscription.id == subscription.id


@pytest.mark.row("U9")
async def test_a_date_of_its_end_at_stripe_is_shown_and_marked_on_the_subscription_alone(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    name = (await world.stripe("get", "/v1/subscriptions", status="all"))["data"][0]["id"]
    await world.stripe("post", f"/v1/subscriptions/{name}", cancel_at_period_end=True)

    found = await read(world, ada)
    assert found.stripe is not None
    [subscription], [invoice] = found.stripe.subscriptions, found.stripe.invoices
    assert subscription.cancel_at == subscription.period_end
    assert (subscription.differs, invoice.differs) == (True, False)
    assert {line.field for line in found.stripe.differences} == {"ends", f"{name} ends"}


@pytest.mark.row("U9")
async def test_packs_and_payments_stand_beside_the_subscription(schema_url: str) -> None:
    async with opened(schema_url, catalog=SELLING) as world:
        ada = await world.customer()
        page = await actions.start_pack_checkout(world.till, await world.payer(ada), "small")
        assert [pack.status for pack in (await read(world, ada)).ours.packs] == ["open"]
        await world.submit(page, "4242424242424242")
        found = await read(world, ada)
        assert found.stripe is not None
        assert [(pack.pack, pack.paid.amount_minor, pack.differs) for pack in found.stripe.packs] == [
            ("small", 700, True)
        ]
        await world.catch_up()
        found = await read(world, ada)
        assert found.stripe is not None
        assert ([pack.status for pack in found.ours.packs], found.stripe.packs[0].differs) == (["granted"], False)

        plain = json.loads(json.dumps(told(found)))
        assert plain["ours"]["packs"][0]["status"] == "granted"
        assert parse_rfc3339(plain["stripe"]["asked_at"]) == found.stripe.asked_at
        assert parse_rfc3339(plain["stripe"]["packs"][0]["paid_at"]) == found.stripe.packs[0].paid_at
        assert plain["stripe"]["took_ms"] == found.stripe.took_ms


@pytest.mark.row("U9")
async def test_while_stripe_says_nothing_ours_are_shown_with_the_reason_and_its_fix(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.catch_up()
    await world.control("faults", api_errors=[{"status": 500, "count": 20, "path": "/v1/subscriptions"}])
    found = await read(world, ada)
    assert found.ours.subscription is not None
    assert found.stripe is None
    assert found.silence is not None
    assert found.silence.code == "stripe_unavailable"
    assert found.silence.fix

    monkeypatch.setattr(beside, "PATIENCE_SECONDS", 0.0)
    found = await read(world, ada)
    assert found.silence is not None
    assert "has not answered within 0 s" in found.silence.detail

    without = await read_beside(world.store, world.catalog, None, ada)
    assert without.silence is not None
    assert without.silence.code == "payments_not_configured"
    assert "STRIPE_SECRET_KEY" in without.silence.fix
    assert without.ours.subscription is not None


async def test_a_customer_that_stripe_does_not_know_is_told_so(world: World) -> None:
    ada = await world.customer()
    await ensure_prices(world.store, world.gateway, world.catalog)
    found = await read(world, ada)
    assert (found.stripe_customer, found.stripe, found.silence) == (None, None, None)
    with pytest.raises(NotFound, match="never opened Checkout"):
        await reconciling.reconcile_customer(
            world.store, world.catalog, world.gateway, ada, by_whom="grace", why="she asked"
        )
