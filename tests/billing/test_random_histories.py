"""Random histories by Hypothesis: whatever a customer does and whatever becomes of the events, the end state is Stripe's.

The truth is read from the sandbox's own answers, without our translation. `make torture` lives ten thousand of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.billing.lives import Recorder
from tests.billing.steps import attach
from tests.billing.world import DECLINES, FAILS_LATER, PAYS, World, opened
from tests.support.databases import new_sqlite
from tollhouse.billing.reconciling import Reconciler, begin
from tollhouse.kernel.errors import Conflict, InvalidRequest
from tollhouse.ledger.verify import verify_all

EXAMPLES = 500
EXAMPLES_FOR_LONG = 10_000
LIVE = ("active", "trialing", "past_due", "unpaid", "paused")
KEYS = {
    "starter": "tollhouse_starter_month_usd",
    "pro": "tollhouse_pro_month_usd",
}

BUY = st.tuples(st.just("buy"), st.sampled_from(sorted(KEYS)), st.sampled_from([PAYS, FAILS_LATER, DECLINES]))
STEPS = st.one_of(
    BUY,
    st.tuples(st.just("switch"), st.sampled_from(sorted(KEYS))),
    st.tuples(st.just("days"), st.sampled_from([1, 8, 31])),
    st.tuples(st.sampled_from(["cancel at the end", "resume", "end", "refund", "bad card", "good card", "pay"])),
    st.tuples(st.just("arrive"), st.integers(0, 999)),
)
HISTORIES = st.builds(lambda first, rest: [first, *rest], BUY, st.lists(STEPS, min_size=1, max_size=8))


class House:
    """One world on one loop; each history is a customer of its own."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.world = world
        self.loop = loop
        self._number = 0

    def live(self, history: list[tuple[Any, ...]]) -> None:
        """Live it, compare with Stripe, and end what is left."""
        self.loop.run_until_complete(self._live(history))

    async def _live(self, history: list[tuple[Any, ...]]) -> None:
        self._number += 1
        world = self.world
        customer = await world.customer(f"history-{self._number}@example.com")
        ada = Recorder(world, customer)
        post: list[dict[str, Any]] = []
        for step in history:
            await world.pass_seconds(1)  # Stripe dates by the second: two steps of one would have no order
            try:
                await self._step(ada, step, post)
            except (stripe.StripeError, InvalidRequest, Conflict, LookupError, AssertionError) as error:
                note(f"{step}: {error}")  # Stripe says no, or there is nothing to do it to
            post += await world.new_events()
        if await self._linked(ada):
            await self._compare_with_stripe(ada)
            await self._agree(ada)
            for subscription in await self._subscriptions(ada):
                if subscription["status"] in (*LIVE, "incomplete"):
                    await world.stripe("delete", f"/v1/subscriptions/{subscription['id']}")
            await world.new_events()

    async def _step(self, ada: Recorder, step: tuple[Any, ...], post: list[dict[str, Any]]) -> None:
        world = self.world
        match step:
            case ("buy", plan, card):
                await world.buy(ada.customer, plan, card)
            case ("switch", plan):
                await ada.move_to(KEYS[plan])
            case ("days", days):
                await world.pass_days(days)
            case ("cancel at the end",):
                await ada.change(cancel_at_period_end=True)
            case ("resume",):
                await ada.change(cancel_at_period_end=False)
            case ("end",):
                await ada.end()
            case ("refund",):
                paid = await world.stripe("get", "/v1/payment_intents", customer=await ada.stripe_id())
                done = [intent["id"] for intent in paid["data"] if intent["status"] == "succeeded"]
                await world.stripe("post", "/v1/refunds", payment_intent=done[0])
            case ("bad card",):
                await self._card(ada, "pm_card_chargeCustomerFail")
            case ("good card",):
                await self._card(ada, "pm_card_visa")
            case ("pay",):
                await ada.pay_what_is_open(await ada.good_card())
            case ("arrive", seed):
                await self._arrive(post, Random(seed))

    async def _card(self, ada: Recorder, name: str) -> None:
        await ada.change(default_payment_method=await attach(self.world, await ada.stripe_id(), name))

    async def _arrive(self, post: list[dict[str, Any]], chance: Random) -> None:
        """Some of what Stripe has sent arrives: shuffled, some of it twice, some never, the rest later."""
        chance.shuffle(post)
        now = [post.pop() for _ in range(chance.randint(0, len(post)))]
        kept = [event for event in now if chance.random() > 0.2]
        await self.world.receive([*kept, *chance.sample(kept, len(kept) // 3)])
        await self.world.work()

    async def _linked(self, ada: Recorder) -> bool:
        try:
            await ada.stripe_id()
        except AssertionError:
            return False
        return True

    async def _subscriptions(self, ada: Recorder) -> list[Any]:
        found = await self.world.stripe(
            "get", "/v1/subscriptions", customer=await ada.stripe_id(), status="all", limit=100
        )
        return list(found["data"])

    async def _compare_with_stripe(self, ada: Recorder) -> None:
        """Twice: the first repairs, the second finds nothing."""
        world = self.world
        reconciler = Reconciler(world.store, world.catalog, world.gateway)
        for last in (False, True):
            async with world.store.transaction() as tx:
                run = await begin(
                    tx, by_whom="test", why="", dry_run=last, now=world.store.clock.now_ms(), only=await ada.stripe_id()
                )
            _, compared = await reconciler.step(run)
            assert [found.error for found in compared] == [None]
        assert compared[0].differences == ()

    async def _agree(self, ada: Recorder) -> None:
        """Plan, standing, end, invoices and lots, from Stripe's raw answers."""
        world, customer = self.world, ada.customer
        stripe_id = await ada.stripe_id()
        subscriptions = await self._subscriptions(ada)
        invoices = (await world.stripe("get", "/v1/invoices", customer=stripe_id, limit=100))["data"]
        assert sum(subscription["status"] in LIVE for subscription in subscriptions) <= 1
        live = next((found for found in subscriptions if found["status"] in LIVE), None)
        state = await world.state(customer)
        if live is None:
            assert (state.plan, state.ends_at) == ("free", None)
        else:
            assert KEYS[state.plan] == live["items"]["data"][0]["price"]["lookup_key"]
            assert state.ends_at == (live["cancel_at"] * 1000 if live["cancel_at"] else None)
        owes = live is not None and live["status"] in ("past_due", "unpaid", "paused")
        assert state.standing == ("past_due" if owes else "good")
        end = await world.end_state(customer)
        assert sorted((name, status) for name, status, _ in end["invoices"]) == sorted(
            (invoice["id"], invoice["status"]) for invoice in invoices if invoice["status"] != "draft"
        )
        await self._every_paid_period_once(customer, invoices)
        report = await verify_all(world.store, world.catalog, customer=customer)
        assert report.findings == []

    async def _every_paid_period_once(self, customer: str, invoices: list[Any]) -> None:
        """Each paid line for a period of its own brought its plan's lot, once; a proration at most once."""
        book = [entry.metadata or "" for entry in await self.world.book(customer) if entry.action.startswith("plan_")]
        granted = {invoice["id"]: sum(f'"invoice":"{invoice["id"]}"' in text for text in book) for invoice in invoices}
        for invoice in invoices:
            lines = invoice["lines"]["data"]
            own = [line for line in lines if not line["parent"]["subscription_item_details"]["proration"]]
            if invoice["status"] != "paid":
                assert granted[invoice["id"]] == 0
            elif own:
                assert granted[invoice["id"]] == 1
            else:
                assert granted[invoice["id"]] <= 1


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """On SQLite; `test_any_order.py` lives samples on PostgreSQL."""
    folder: Path = tmp_path_factory.mktemp("histories")
    loop = asyncio.new_event_loop()
    world = opened(new_sqlite(folder), quick=True)
    yield House(loop.run_until_complete(world.__aenter__()), loop)
    loop.run_until_complete(world.__aexit__(None, None, None))
    loop.close()


def _settings(examples: int) -> settings:
    quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, deadline=None, print_blob=True, suppress_health_check=quiet)


@pytest.mark.timeout(1_800)
@_settings(EXAMPLES)
@given(history=HISTORIES)
def test_any_history_ends_as_stripe_says(house: House, history: list[tuple[Any, ...]]) -> None:
    note(f"history: {history}")
    house.live(history)


@pytest.mark.torture
@pytest.mark.timeout(0)
@_settings(EXAMPLES_FOR_LONG)
@given(history=HISTORIES)
def test_ten_thousand_histories_end_as_stripe_says(house: House, history: list[tuple[Any, ...]]) -> None:
    note(f"history: {history}")
    house.live(history)
