"""Random lives of a few customers in two processes, days long: whatever happens, no answer is a 500 and the books add up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest

from tests.admission.world import DAY, HOUR, World
from tollhouse.kernel.clock import rfc3339
from tollhouse.worker.sweeping import sweep_accounts

STEPS = 250
ACTIONS = ("spend", "launch", "chat", "realtime_session", "track", "ping", "export", "render", "film")
PLANS = ("free", "starter", "pro")


class Lives:
    """The customers, what they were given, and two houses that serve them."""

    def __init__(self, houses: tuple[World, World], seed: int) -> None:
        self.houses = houses
        self.chance = random.Random(seed)
        self.people: list[str] = []
        self.admissions: list[str] = []
        self.leases: list[str] = []
        self.holds: list[str] = []
        self.keys = 0

    @property
    def house(self) -> World:
        return self.chance.choice(self.houses)

    @property
    def person(self) -> str:
        return self.chance.choice(self.people)

    def key(self) -> str:
        """A new key, or now and then one that was used."""
        self.keys += 1
        return f"k{self.chance.randrange(max(1, self.keys - 30), self.keys + 1) if self.chance.random() < 0.2 else self.keys}"

    async def post(self, path: str, body: object = None) -> Any:
        answer: httpx.Response = await self.house.post(path, body)
        assert answer.status_code < 500, (path, body, answer.text)
        return msgspec.json.decode(answer.content) if answer.status_code < 300 else None

    def amount(self) -> float:
        return self.chance.choice((0, 0.001, 0.5, 1, 7.25, 40, 333))

    def ask(self) -> dict[str, object]:
        action = self.chance.choice(ACTIONS)
        body: dict[str, object] = {"customer": self.person, "action": action, "key": self.key()}
        if action in ("chat", "film") and self.chance.random() < 0.7:
            body["amount"] = {"credits": self.amount()}
        return body

    async def admit(self) -> None:
        body = self.ask()
        answer = await self.post("/v1/admit", body)
        if answer and answer["allowed"]:
            (self.leases if "lease" in answer else self.admissions).append(answer["id"])

    async def admit_many(self) -> None:
        items = [self.ask() for _ in range(self.chance.randrange(1, 20))]
        both = (self.post("/v1/admit/batch", {"items": items}) for _ in range(2))
        for answers in await asyncio.gather(*both):
            self.admissions += [item["id"] for item in answers["items"] if item["allowed"]]

    async def hold(self) -> None:
        terms = {"ttl": self.chance.choice(("1s", "60s", "2h")), "on_expiry": self.chance.choice(("return", "charge"))}
        answer = await self.post("/v1/holds", {**self.ask(), **terms})
        if answer and answer["allowed"]:
            self.holds.append(answer["id"])

    async def end_hold(self) -> None:
        if not self.holds:
            return
        hold = self.chance.choice(self.holds[-4:])
        call = self.chance.choice(("settle", "settle", "release", "extend"))
        settled = {"amount": {"credits": self.amount()} if self.chance.random() < 0.8 else {}}
        body = settled if call == "settle" else {"ttl": "90s"} if call == "extend" else {}
        await self.post(f"/v1/holds/{hold}/{call}", body)

    async def refund(self) -> None:
        given = self.admissions + self.leases + self.holds
        if given:
            body: dict[str, object] = {"key": self.key(), "reason": "life"}
            if self.chance.random() < 0.6:
                body["amount"] = {self.chance.choice(("credits", "sessions")): self.chance.choice((0.5, 1, 2))}
            await self.post(f"/v1/admissions/{self.chance.choice(given)}/refund", body)

    async def keep(self) -> None:
        if self.leases:
            call = self.chance.choice(("heartbeat", "heartbeat", "end"))
            await self.post(f"/v1/admissions/{self.chance.choice(self.leases[-3:])}/{call}")

    async def grant(self) -> None:
        house = self.house
        body: dict[str, object] = {
            "meter": self.chance.choice(("credits", "images")), "amount": self.chance.choice((1, 30, 500)),
            "key": self.key(), "reason": "life",
        }  # fmt: skip
        if self.chance.random() < 0.7:
            body["expires_at"] = rfc3339(house.now + self.chance.choice((60_000, 3_600_000, 5 * 86_400_000)))
        await self.post(f"/v1/customers/{self.person}/grants", body)

    async def change_plan(self) -> None:
        house, person, plan = self.house, self.person, self.chance.choice(PLANS)
        ends_at = house.now + 2 * 86_400_000 if self.chance.random() < 0.3 else None
        standing = "past_due" if self.chance.random() < 0.15 else "good"
        await house.subscribe(person, plan, ends_at=ends_at, standing=standing)  # type: ignore[arg-type]
        if plan != "free" and self.chance.random() < 0.7:
            await house.pay(person, plan, f"in_{self.keys}", days=self.chance.choice((1, 30)))

    async def check(self) -> None:
        body = self.ask()
        del body["key"]
        await self.post("/v1/check", body)

    async def wait(self) -> None:
        seconds = self.chance.choice((1.0, 1.0, 30.0, 30.0, 100.0, HOUR, 6 * HOUR, DAY, 20 * DAY))
        for house in self.houses:
            house.later(seconds)

    async def sweep(self) -> None:
        house = self.house
        await asyncio.gather(house.sweep(), sweep_accounts(house.house.store, house.house.catalog))


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_books_add_up(world: World, other: World, seed: int) -> None:
    lives = Lives((world, other), seed)
    lives.people = [await world.customer(f"person-{number}", plan=plan) for number, plan in enumerate(PLANS)]
    steps: list[Callable[[], Awaitable[None]]] = [
        *[lives.admit] * 8, *[lives.admit_many] * 2, *[lives.hold] * 4, *[lives.end_hold] * 4, *[lives.refund] * 4,
        *[lives.keep] * 3, lives.grant, lives.change_plan, lives.check, *[lives.wait] * 2, lives.sweep,
    ]  # fmt: skip
    for number in range(STEPS):
        at_once = lives.chance.choices(steps, k=lives.chance.choice((1, 1, 4)))
        await asyncio.gather(*(step() for step in at_once))
        if number % 50 == 49:
            assert await world.books.findings() == []
    for person in lives.people:
        for meter in (await world.meters(person)).values():
            assert meter["used"] >= 0
            assert meter["remaining"] is None or meter["remaining"] >= 0
