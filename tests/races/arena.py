"""Many clients at once, on every serving process in turn, and what they were told against what the books say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from tests.support import product
from tests.support.books import Books, books_of
from tests.support.calling import Api, Called
from tests.support.serving import RunningServer

TOML = product.TOML
CATALOG = product.catalog_of(TOML)


@dataclass(frozen=True)
class Arena:
    """The serving processes of one database."""

    database_url: str
    servers: list[RunningServer]


class Race:
    """One client for each process. With one process `here` and `there` are clients of the same."""

    def __init__(self, arena: Arena, clients: list[Api], books: Books) -> None:
        self.arena = arena
        self.clients = clients
        self.books = books

    @property
    def here(self) -> Api:
        return self.clients[0]

    @property
    def there(self) -> Api:
        return self.clients[-1]

    async def everywhere(self, times: int, path: str, bodies: Iterable[object]) -> list[Called]:
        """POST these bodies, one after the other around all processes, all at the same time."""
        calls: list[Awaitable[Called]] = []
        for client, body, _ in zip(cycle(self.clients), bodies, range(times), strict=False):
            calls.append(client.post(path, body))
        return list(await asyncio.gather(*calls))

    async def taken(self, customer: str) -> int:
        """What the customer's admissions have debited, in credits."""
        moves = [move for entry in await self.books.admissions(customer) for move in entry.moves]
        return -sum(amount for meter, _, amount in moves if meter == "credits") // 1000


@asynccontextmanager
async def racing(arena: Arena) -> AsyncIterator[Race]:
    """Connect to every process and open the books."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Api(server.url, server.secret_key, connections=200))
            for server in arena.servers
        ]
        books = await stack.enter_async_context(books_of(arena.database_url, CATALOG))
        yield Race(arena, clients, books)


def allowed(answers: Iterable[Called]) -> list[Any]:
    """The bodies that said yes. Every call must have been answered with 200."""
    bodies = []
    for answer in answers:
        assert answer.status == 200, answer
        bodies.append(answer.body)
    return [body for body in bodies if body["allowed"]]
