"""A year of every plan of every preset, month by month on a test clock: its books to the cent and the credit.

What is expected is counted here from the preset and the calendar, never by our own rules. Everybody in a preset lives at
once: who signs up only, who buys each price through Checkout, and whom staff sold a plan that has no price.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tollhouse.presets
from tests.billing.steps import spend_on, stripe_id_of, subscribe_by_staff
from tests.billing.world import World, opened
from tests.support.databases import new_sqlite
from tollhouse.billing import actions
from tollhouse.catalog.load import load_catalog
from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.money import Money
from tollhouse.ledger.verify import verify_all
from tollhouse.store import Sql

PRESETS = {path.stem: path for path in sorted(Path(tollhouse.presets.__file__).parent.glob("*.toml"))}
MONTHS = 13
AGREED = Money(123_456, "eur")  # for a plan that is sold by staff alone

# The days on which months begin, from that of the purchase on: Stripe's rule for the 31st, for a year of 366 days.
STARTS: dict[str, tuple[int, tuple[int, ...]]] = {
    "31 January": (1, (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31)),
    "29 February": (2, (29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 28, 29, 29)),
}
LOT = ("meter", "amount", "since", "until", "expires_at", "paid_minor", "currency")
LOTS = Sql(
    "select meter, amount, since, until, expires_at, paid_minor, currency from lot"
    " where customer = :customer and until > 0 order by since, meter"
)


class Buyer(msgspec.Struct, frozen=True):
    """Who lives this year. Moments are Unix seconds: `begins[n]` is when month n does."""

    customer: str
    plan: PlanVersion
    price: Money | None
    every: str
    begins: tuple[int, ...]

    def invoices(self, month: int) -> Iterator[tuple[int, int]]:
        """Start and end of what has been billed when this month has begun, the newest first."""
        step = 12 if self.every == "year" else 1
        for first in range(month - month % step, -1, -step):
            yield self.begins[first], moment_of(self.begins, first + step)

    def paid_for(self, month: int) -> int:
        """The share of the price that this month's lot was bought with."""
        assert self.price is not None
        whole = self.price.amount_minor
        if self.every == "month":
            return whole
        number = month % 12
        return whole * (number + 1) // 12 - whole * number // 12


def moment_of(begins: tuple[int, ...], month: int) -> int:
    """When a month begins that may lie beyond the year that is lived: the same month of another year."""
    if month < len(begins):
        return begins[month]
    like = datetime.fromtimestamp(begins[0], UTC)
    day = 28 if (like.month, like.day) == (2, 29) else like.day  # neither of the two years after it has a 29th
    return int(like.replace(year=like.year + month // 12, day=day).timestamp())


def begins_of(bought: int, start: str) -> tuple[int, ...]:
    """The beginnings of all months of who bought then."""
    month, days = STARTS[start]
    at = datetime.fromtimestamp(bought, UTC)
    assert (at.month, at.day) == (month, days[0])
    moments = []
    for number, day in enumerate(days):
        years, place = divmod(month - 1 + number, 12)
        moments.append(int(at.replace(year=at.year + years, month=place + 1, day=day).timestamp()))
    return tuple(moments)


def first_day(now: int, start: str) -> int:
    """The morning of that day in the next year of 366 days."""
    month, days = STARTS[start]
    today = datetime.fromtimestamp(now, UTC)
    year = next(year for year in range(today.year + 1, today.year + 10) if year % 4 == 0)
    return int(datetime(year, month, days[0], 9, 30, tzinfo=UTC).timestamp())


class Year:
    """One preset's customers, and what is true of each when a month has begun."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.used: dict[tuple[str, str], int] = {}

    def now(self) -> int:
        return self.world.store.clock.now_ms() // 1000

    async def pass_to(self, moment: int) -> None:
        await self.world.pass_seconds(moment - self.now())

    async def everybody(self, start: str) -> list[Buyer]:
        """A customer on each plan at each of its prices."""
        world, catalog = self.world, self.world.catalog
        buyers: list[Buyer] = []
        for plan in catalog.plans.values():
            if plan.plan == catalog.free_plan:
                customer = await world.customer(f"{plan.plan}@example.com")
                begins = begins_of((await world.state(customer)).anchor // 1000, start)
                buyers.append(Buyer(customer, plan, None, "", begins))
            elif plan.contact_only:
                customer = await world.customer(f"{plan.plan}@example.com")
                await subscribe_by_staff(world, customer, plan.plan, AGREED.amount_minor, AGREED.currency)
                buyers.append(Buyer(customer, plan, AGREED, "month", begins_of(await self.anchor(customer), start)))
            for price in plan.prices:
                customer = await world.customer(f"{plan.plan}-{price.every}@example.com")
                assert "/app/billing" in await world.buy(customer, plan.plan, interval=price.every)
                begins = begins_of(await self.anchor(customer), start)
                money = Money(price.amount_minor, price.currency)
                buyers.append(Buyer(customer, plan, money, price.every, begins))
        await world.catch_up()
        return buyers

    async def anchor(self, customer: str) -> int:
        return int((await self.subscription(customer))["billing_cycle_anchor"])

    async def subscription(self, customer: str) -> Any:
        found = await self.world.stripe("get", "/v1/subscriptions", customer=await stripe_id_of(self.world, customer))
        assert len(found["data"]) == 1
        return found["data"][0]

    async def use(self, buyer: Buyer, month: int) -> None:
        """Part of every limit: of credits and quotas another part each month, a thing that is owned in the first."""
        owned = (await self.world.state(buyer.customer)).counts
        lasting = set() if buyer.price else {grant.meter for grant in buyer.plan.grants}
        self.used = {key: used for key, used in self.used.items() if key[0] != buyer.customer or key[1] in lasting}
        cost = {}
        for grant in buyer.plan.grants:
            parts = 7 if buyer.price else 100  # a sign-up grant has to last
            if buyer.price or not grant.verified_only:
                cost[grant.meter] = grant.amount * (month % 5 + 1) // parts
        for meter in self.world.catalog.meters.values():
            limit = buyer.plan.limits.get(meter.name, 0)
            if meter.kind == "quota":
                cost[meter.name] = 1_234_567 if limit is None else limit * (month % 5 + 1) // 7
            elif meter.kind == "rate" or (month == 0 and meter.kind == "count" and not owned.get(meter.name)):
                cost[meter.name] = 1
        await spend_on(self.world, buyer.customer, cost)
        for name, amount in cost.items():
            key = buyer.customer, name
            self.used[key] = self.used.get(key, 0) + amount

    async def check(self, buyer: Buyer, month: int, *, used: bool) -> None:
        """Everything that is true in this month, at its beginning or after the month's use."""
        where = f"{buyer.plan.plan} by the {buyer.every}, month {month}"
        state = await self.world.state(buyer.customer)
        assert (state.plan, state.standing, state.ends_at) == (buyer.plan.plan, "good", None), where
        for grant in buyer.plan.grants:
            [lot] = state.lots[grant.meter]
            gone = self.used.get((buyer.customer, grant.meter), 0) if used or not buyer.price else 0
            assert (lot.amount, lot.used, lot.expires_at) == (grant.amount, gone, None), where
        for name, quota in state.quotas.items():
            if self.world.catalog.meters[name].period == "month":
                assert quota.used == (self.used[buyer.customer, name] if used else 0), where
                at = quota.start // 1000, quota.end // 1000
                assert at == (buyer.begins[month], buyer.begins[month + 1]), where
        for name, meter in self.world.catalog.meters.items():
            if meter.kind == "count" and used:
                assert state.counts[name] == 1, where
        if buyer.price and not used:
            await self._check_money(buyer, month, where)
            await self._check_lots(buyer, month, where)

    async def _check_money(self, buyer: Buyer, month: int, where: str) -> None:
        """Stripe's invoices, and ours, which say the same."""
        assert buyer.price is not None
        stripe_id = await stripe_id_of(self.world, buyer.customer)
        invoices = (await self.world.stripe("get", "/v1/invoices", customer=stripe_id, limit=100))["data"]
        amount, currency = buyer.price.amount_minor, buyer.price.currency
        at_stripe = [
            (
                invoice["status"], invoice["amount_paid"], invoice["currency"],
                [(line["amount"], line["period"]["start"], line["period"]["end"]) for line in invoice["lines"]["data"]],
            )
            for invoice in invoices
        ]  # fmt: skip
        expected = [("paid", amount, currency, [(amount, *period)]) for period in buyer.invoices(month)]
        assert at_stripe == expected, where
        async with self.world.store.reading() as tx:
            ours = await actions.invoices_of(tx, buyer.customer)
            subscription = await actions.subscription_of(tx, buyer.customer)
        assert [(found.id, found.status, found.due, found.paid) for found in ours] == [
            (invoice["id"], "paid", buyer.price, buyer.price) for invoice in invoices
        ], where
        item = (await self.subscription(buyer.customer))["items"]["data"][0]
        at = item["current_period_start"], item["current_period_end"]
        assert at == next(buyer.invoices(month)), where
        assert subscription is not None
        assert (subscription.period_start // 1000, subscription.period_end // 1000) == at, where

    async def _check_lots(self, buyer: Buyer, month: int, where: str) -> None:
        """A lot for each month that has begun, with its share of what was paid."""
        async with self.world.store.reading() as tx:
            rows = await tx.fetch(LOTS, customer=buyer.customer)
        assert buyer.price is not None
        assert [tuple(row[name] for name in LOT) for row in rows] == [
            (
                grant.meter, grant.amount, buyer.begins[number] * 1000, buyer.begins[number + 1] * 1000, None,
                buyer.paid_for(number), buyer.price.currency,
            )
            for number in range(month + 1)
            for grant in buyer.plan.grants
        ], where  # fmt: skip

    async def verified(self) -> None:
        assert (await verify_all(self.world.store, self.world.catalog)).findings == []


@asynccontextmanager
async def year_of(preset: str, start: str, schema_url: str) -> AsyncIterator[Year]:
    catalog: Catalog = load_catalog(PRESETS[preset])
    async with opened(schema_url, catalog, quick=True) as world:
        year = Year(world)
        await year.pass_to(first_day(year.now(), start))
        yield year


async def live_a_year(preset: str, start: str, schema_url: str) -> None:
    async with year_of(preset, start, schema_url) as year:
        world = year.world
        buyers = await year.everybody(start)
        assert {buyer.plan.plan for buyer in buyers} == world.catalog.plans.keys()
        for buyer in buyers:
            await year.check(buyer, 0, used=False)
        for month in range(MONTHS):
            for buyer in buyers:
                await year.use(buyer, month)
                await year.check(buyer, month, used=True)
            await year.pass_to(min(buyer.begins[month + 1] for buyer in buyers) - 60)
            await world.catch_up()
            for buyer in buyers:  # the calendar's month has turned meanwhile, and nothing with it
                await year.check(buyer, month, used=True)
            await year.pass_to(max(buyer.begins[month + 1] for buyer in buyers) + 7_200)
            await world.catch_up()
            for buyer in buyers:
                await year.check(buyer, month + 1, used=False)
            await year.verified()


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_year_of_each_plan_is_right_to_the_cent_and_the_credit(preset: str, schema_url: str) -> None:
    await live_a_year(preset, "31 January", schema_url)


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_year_from_the_29th_of_february_is_right_too(preset: str, tmp_path: Path) -> None:
    await live_a_year(preset, "29 February", new_sqlite(tmp_path))


@pytest.mark.parametrize("preset", PRESETS)
async def test_who_leaves_after_a_year_keeps_what_was_paid_to_its_end(preset: str, schema_url: str) -> None:
    async with year_of(preset, "31 January", schema_url) as year:
        world = year.world
        buyers = [buyer for buyer in await year.everybody("31 January") if buyer.price]
        await year.pass_to(max(buyer.begins[MONTHS] for buyer in buyers) + 7_200)
        await world.catch_up()
        for buyer in buyers:
            await world.stripe("delete", f"/v1/subscriptions/{(await year.subscription(buyer.customer))['id']}")
        await world.catch_up()
        for buyer in buyers:
            state = await world.state(buyer.customer)
            assert state.plan == world.catalog.free_plan
            kept = [(lot.amount, lot.expires_at) for lots in state.lots.values() for lot in lots]
            assert kept == [(grant.amount, buyer.begins[MONTHS + 1] * 1000) for grant in buyer.plan.grants]
        await year.pass_to(max(buyer.begins[MONTHS + 1] for buyer in buyers))
        for buyer in buyers:
            assert not any((await world.state(buyer.customer)).lots.values())
        await year.verified()
