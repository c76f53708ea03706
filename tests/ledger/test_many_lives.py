"""Random lives through the rooms' own actions, on a database: whatever was allowed or refused, the books add up."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.ledger.lives import ADA, BEN, Town
from tests.ledger.world import DAY, FREE, METERS, PRO, STARTER
from tollhouse.admission import holds, leases
from tollhouse.admission.desk import Admission
from tollhouse.admission.model import HoldTerms
from tollhouse.admission.pricing import Charge
from tollhouse.admission.refunds import refund
from tollhouse.admission.verify import check_slots
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.kernel.units import unscale
from tollhouse.ledger import actions
from tollhouse.ledger.granting import NewLot
from tollhouse.ledger.plan_lots import Payment
from tollhouse.ledger.verify import verify_all
from tollhouse.store import Tx, open_store

STEPS = 120
AMOUNTS = {"credits": 60_000, "images": 20, "sessions": 6, "exports": 2, "requests": 4, "concurrent": 1, "projects": 1}


@pytest.fixture
async def empty_town(schema_url: str) -> AsyncIterator[Town]:
    store = await open_store(schema_url)
    try:
        town = Town(store, lambda catalog: Admission(store, catalog, lanes=2, cache_size=1_000))
        yield town
        await town.desk.close()
    finally:
        await store.close()


class Life:
    """One customer doing this and that, as dice fall."""

    def __init__(self, town: Town, customer: str, dice: random.Random) -> None:
        self.town, self.customer, self.dice = town, customer, dice
        self.admissions: list[str] = []
        self.holds: list[str] = []
        self.number = 0

    def some(self, meters: list[str]) -> dict[str, int]:
        chosen = self.dice.sample(meters, self.dice.randint(1, len(meters)))
        return {name: self.dice.randint(1, AMOUNTS[name]) for name in chosen}

    def key(self) -> str:
        self.number += 1
        return f"{self.customer}-{self.number}"

    async def step(self) -> None:
        steps: list[Callable[[], Awaitable[None]]] = [
            self.admit, self.admit, self.admit, self.hold, self.settle, self.release, self.refund, self.end,
            self.grant, self.change_plan, self.wait,
        ]  # fmt: skip
        await self.dice.choice(steps)()

    async def admit(self) -> None:
        await self._ask("admit")

    async def hold(self) -> None:
        await self._ask("hold")

    async def _ask(self, operation: str) -> None:
        cost = self.some(list(METERS))
        charge = Charge("work", cost, {name: unscale(amount, METERS[name].decimals) for name, amount in cost.items()})
        if operation == "admit":
            outcome = await self.town.desk.submit("admit", self.customer, charge, self.key(), b"same")
        else:
            terms = HoldTerms(self.dice.choice([5_000, DAY]), self.dice.choice(["return", "charge"]))
            outcome = await self.town.desk.submit("hold", self.customer, charge, self.key(), b"same", None, terms)
        if outcome.allowed:
            identifier = outcome.body.split(b'"id":"')[1].split(b'"')[0].decode()
            (self.admissions if operation == "admit" else self.holds).append(identifier)

    async def _write(self, work: Callable[[Tx], Awaitable[object]]) -> None:
        try:
            async with self.town.store.transaction() as tx:
                await work(tx)
        except (Conflict, InvalidRequest, NotFound, leases.LeaseLost):
            pass
        self.town.desk.forget(self.customer)

    async def settle(self) -> None:
        if self.holds:
            hold = self.dice.choice(self.holds)
            amounts = self.dice.choice([{}, {"credits": self.dice.randint(0, 150_000)}, {"sessions": 3}])
            await self._write(lambda tx: holds.settle(tx, self.town.catalog, hold, amounts, self.town.now))

    async def release(self) -> None:
        if self.holds:
            hold = self.dice.choice(self.holds)
            await self._write(lambda tx: holds.release(tx, self.town.catalog, hold, self.town.now))

    async def refund(self) -> None:
        if self.admissions:
            admission = self.dice.choice(self.admissions + self.holds)
            amounts = self.dice.choice([None, {"credits": self.dice.randint(1, 30_000)}, {"sessions": 1}])

            async def give_back(tx: Tx) -> None:
                await refund(
                    tx, self.town.catalog, admission, amounts, self.town.now,
                    key=self.key(), fingerprint=b"r" * 16, reason="as dice fall",
                )  # fmt: skip

            await self._write(give_back)

    async def end(self) -> None:
        if self.admissions:
            admission = self.dice.choice(self.admissions)
            if self.dice.random() < 0.5:
                await self._write(lambda tx: leases.end(tx, self.town.catalog, admission, self.town.now))
            else:
                await self._write(lambda tx: leases.heartbeat(tx, self.town.catalog, admission, self.town.now))

    async def grant(self) -> None:
        meter = self.dice.choice(["credits", "images"])
        expires_at = self.dice.choice([None, self.town.now + self.dice.randint(1_000, 5 * DAY)])
        new = NewLot(meter, self.dice.randint(1, 2 * AMOUNTS[meter]), "topup", expires_at)
        await self._write(
            lambda tx: actions.grant(
                tx, self.town.catalog, self.customer, new, self.town.now,
                key=self.key(), fingerprint=b"g" * 16, reason="as dice fall",
            )
        )  # fmt: skip

    async def change_plan(self) -> None:
        plan, now = self.dice.choice([FREE, STARTER, PRO]), self.town.now
        ends_at = None if plan is FREE else self.dice.choice([None, now + 3 * DAY])
        await self._write(
            lambda tx: actions.set_subscription(
                tx, self.town.catalog, self.customer, plan, now,
                anchor=self.dice.choice([None, now]), ends_at=ends_at, standing="good",
            )
        )  # fmt: skip
        if plan is not FREE:
            await self._write(
                lambda tx: actions.grant_paid_period(
                    tx, self.town.catalog, self.customer, plan,
                    Payment(now, now + 30 * DAY, self.dice.choice(["bought", "upgraded", "renewed"]), "renewed"), now,
                    invoice_key=self.key(), paid=None,
                )
            )  # fmt: skip

    async def wait(self) -> None:
        self.town.later(self.dice.choice([2_000, 15_000, 100_000, DAY, 12 * DAY]))


@pytest.mark.parametrize("seed", range(6))
async def test_the_books_add_up_whatever_two_customers_do(empty_town: Town, seed: int) -> None:
    town, dice = empty_town, random.Random(seed)
    lives = [Life(town, customer, dice) for customer in (ADA, BEN)]
    for life in lives:
        async with town.store.transaction() as tx:
            await actions.open_account(tx, town.catalog, life.customer, town.now, verified=True)

    for _ in range(STEPS):
        await dice.choice(lives).step()

    assert sum(len(life.admissions) + len(life.holds) for life in lives) > 10
    report = await verify_all(town.store, town.catalog, checks=[check_slots])
    assert report.findings == []
