"""Clients that debit, hold, settle and refund without pause, remember what they were told, and repeat what was not
answered with the same key until it is. Their memory is the oracle for the books."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.support.books import Books
from tests.support.calling import Api, Called, Unanswered

CLIENTS = 24
CUSTOMERS = 12
CREDITS = 1_000_000
AGAIN = frozenset({502, 503, 504})
Answer = dict[str, Any]


class Request(msgspec.Struct, frozen=True):
    """One request, the same at every attempt."""

    number: int
    path: str
    body: dict[str, object]
    customer: str

    @property
    def key(self) -> str | None:
        key = self.body.get("key")
        return None if key is None else str(key)


class Load:
    """The clients of one server. `up` is cleared while the server is known to be away."""

    def __init__(self, api: Api, seed: int) -> None:
        self.api = api
        self.up = asyncio.Event()
        self.up.set()
        self.stopping = False
        self.in_flight: dict[int, Request] = {}
        self.unanswered: list[Request] = []  # attempts that broke
        self.unavailable = 0  # attempts that were answered with 'try again'
        self.answered = 0
        self._moved = asyncio.Event()  # something was answered, or has broken
        self.told: dict[str, tuple[Request, Answer]] = {}  # by key: admissions and holds that were allowed
        self.settled: dict[str, Answer] = {}
        self.refunded: dict[str, Answer] = {}  # by key
        self.customers: list[str] = []
        self._numbers = itertools.count()
        self._chance = random.Random(seed)

    async def prepare(self) -> None:
        """The customers, with enough credits for all that comes."""
        for number in range(CUSTOMERS):
            customer = await self.api.customer(f"crash-{number}")
            grant = {"meter": "credits", "amount": CREDITS, "key": "start", "reason": "load"}
            granted = await self.api.post(f"/v1/customers/{customer}/grants", grant)
            assert granted.status == 200, granted
            self.customers.append(customer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        """The clients work while the block lasts; at its end each finishes what it has begun."""
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(number))
            try:
                yield self
            finally:
                self.stopping = True
                self.up.set()

    async def some_answers(self, least: int = 20) -> None:
        """Wait until so many more answers have come."""
        until = self.answered + least
        while self.answered < until:
            await self._next_move()

    async def all_broken(self) -> None:
        """Wait until nothing is in flight: every attempt was answered or has broken."""
        while self.in_flight:
            await self._next_move()

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _client(self, number: int) -> None:
        for turn in itertools.count():
            if self.stopping:
                return
            customer = self._chance.choice(self.customers)
            key = f"client-{number}-{turn}"
            if turn % 5 == 4:
                await self._hold_and_settle(customer, key)
            else:
                await self._admit(customer, key, refund=turn % 5 == 3)

    async def _admit(self, customer: str, key: str, *, refund: bool) -> None:
        body: dict[str, object] = {"customer": customer, "action": "chat", "amount": {"credits": 2}, "key": key}
        answer = await self._until_answered("/v1/admit", body, customer)
        self._remember(key, body, customer, answer)
        if refund:
            back: dict[str, object] = {"amount": {"credits": 1}, "reason": "half", "key": f"back-{key}"}
            path = f"/v1/admissions/{answer['id']}/refund"
            self.refunded[f"back-{key}"] = await self._until_answered(path, back, customer)

    async def _hold_and_settle(self, customer: str, key: str) -> None:
        body: dict[str, object] = {
            "customer": customer, "action": "chat", "amount": {"credits": 5}, "key": key, "ttl": "1h",
        }  # fmt: skip
        answer = await self._until_answered("/v1/holds", body, customer)
        self._remember(key, body, customer, answer)
        path = f"/v1/holds/{answer['id']}/settle"
        self.settled[answer["id"]] = await self._until_answered(path, {"amount": {"credits": 3}}, customer)

    def _remember(self, key: str, body: dict[str, object], customer: str, answer: Answer) -> None:
        assert answer["allowed"], answer
        self.told[key] = (Request(0, "", body, customer), answer)

    async def _until_answered(self, path: str, body: dict[str, object], customer: str) -> Answer:
        """The answer with status 200, however often it has to be asked for."""
        request = Request(next(self._numbers), path, body, customer)
        while True:
            await self.up.wait()
            self.in_flight[request.number] = request
            try:
                called = await self.api.post(path, body)
            except Unanswered:
                self.unanswered.append(request)
                await asyncio.sleep(0.01)
                continue
            finally:
                del self.in_flight[request.number]
                self._moved.set()
            if called.status in AGAIN:
                self.unavailable += 1
                await asyncio.sleep(0.02)
                continue
            return self._good(called)

    def _good(self, called: Called) -> Answer:
        assert called.status == 200, called
        self.answered += 1
        self._moved.set()
        answer: Answer = called.body
        return answer


def plain(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without the one field in which repeated answers differ."""
    return {name: value for name, value in answer.items() if name != "replayed"}


async def compare_with_the_books(load: Load, books: Books) -> None:
    """Nobody was told 'allowed' without an entry, nobody was debited twice, and every account adds up."""
    assert await books.findings() == []
    for operation, kind in (("admit", "admission"), ("hold", "hold")):
        kept = await books.answers(operation)
        told = {
            (request.customer, key): answer
            for key, (request, answer) in load.told.items()
            if ("ttl" in request.body) == (operation == "hold")
        }
        assert told.keys() == kept.keys()
        for place, answer in told.items():
            assert plain(msgspec.json.decode(kept[place])) == plain(msgspec.json.decode(msgspec.json.encode(answer)))
        for customer in load.customers:
            entries = await books.admissions(customer, [kind])
            assert len(entries) == sum(1 for whose, _ in told if whose == customer)
    spent = 0
    for customer in load.customers:
        moves = [move for entry in await books.entries(customer) for move in entry.moves if entry.kind != "grant"]
        spent -= sum(amount for meter, _, amount in moves if meter == "credits")
    holds = len(load.settled)
    admissions = len(load.told) - holds
    assert spent == 1000 * (2 * admissions - len(load.refunded) + 3 * holds)
