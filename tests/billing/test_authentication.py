"""A renewal that its customer has to confirm with the bank: owed until then, shown as such, and mended by the answer."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.billing.steps import stripe_id_of
from tests.billing.world import CATALOG, World, _submit, opened
from tollhouse.billing import actions
from tollhouse.catalog.model import Terms
from tollhouse.kernel.clock import DAY
from tollhouse.ledger.verify import verify_all

ALWAYS_ASKS = "4000002760003184"


@pytest.fixture(params=[0, 3], ids=["without grace", "three days of grace"])
async def world(schema_url: str, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with opened(schema_url, replace(CATALOG, terms=Terms(grace_ms=request.param * DAY))) as world:
        yield world
        assert (await verify_all(world.store, world.catalog)).findings == []


async def answer(url: str, said: str) -> None:
    """The customer answers the bank."""
    await asyncio.to_thread(_submit, url, {"answer": said})


async def bank_of(world: World, customer: str) -> str:
    """Where the open invoice's payment is confirmed."""
    asked = await world.stripe("get", "/v1/payment_intents", customer=await stripe_id_of(world, customer))
    waiting = [intent for intent in asked["data"] if intent["status"] == "requires_action"]
    assert len(waiting) == 1, json.dumps(asked)
    return str(waiting[0]["next_action"]["redirect_to_url"]["url"])


async def shown(world: World, customer: str) -> list[str]:
    async with world.store.reading() as tx:
        return [invoice.status for invoice in await actions.invoices_of(tx, customer)]


async def test_a_renewal_waits_for_its_customer_and_goes_on(world: World) -> None:
    ada = await world.customer()
    page = await world.buy(ada, "starter", ALWAYS_ASKS)
    await answer(urllib.parse.urljoin(world.sandbox_url, page), "complete")
    await world.catch_up()
    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000

    await world.pass_days(32)
    await world.catch_up()

    state = await world.state(ada)
    grace = world.catalog.terms.grace_ms
    assert (state.plan, state.standing) == ("starter", "good" if grace else "past_due")
    assert (state.past_due_at is not None) == bool(grace)
    assert await shown(world, ada) == ["action_required", "paid"]
    assert len(await world.facts("payment.failed")) == 1

    await answer(await bank_of(world, ada), "complete")
    await world.catch_up()

    state = await world.state(ada)
    assert (state.plan, state.standing, state.past_due_at) == ("starter", "good", None)
    assert await shown(world, ada) == ["paid", "paid"]
    assert await world.credits(ada) == 1_000


async def test_a_first_payment_that_is_not_confirmed_gives_nothing(world: World) -> None:
    ada = await world.customer()
    page = await world.buy(ada, "starter", ALWAYS_ASKS)
    await answer(urllib.parse.urljoin(world.sandbox_url, page), "fail")
    await world.catch_up()
    state = await world.state(ada)
    assert (state.plan, state.standing, await world.credits(ada)) == ("free", "good", 100)
    assert await shown(world, ada) == []
