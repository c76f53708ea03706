"""Both clients behind one face: a story told once is tried on the blocking and on the asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import msgspec
import pytest

from tollhouse_sdk import AsyncTollhouse, MockTransport, Request, Response, Tollhouse, TollhouseError

URL = "http://tollhouse.test"
KEY = "th_sk_for_these_tests"

Step = Response | TollhouseError


class Client:
    """One of the two clients, before a server that answers from a list; `pauses` are the waits that it made."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pauses: list[float] = []
        self.transport = MockTransport(lambda _: Response(500, {}, b""))
        self.options: dict[str, Any] = {}

    def answers(self, *steps: Step) -> Client:
        """The answers to come, in order; an error is raised by the network."""
        rest = iter(steps)

        def answer(_: Request) -> Response:
            step = next(rest)
            if isinstance(step, TollhouseError):
                raise step
            return step

        self.transport = MockTransport(answer)
        return self

    def with_options(self, **options: Any) -> Client:
        self.options = options
        return self

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """`client.method(…)`; an iterator is read to its end."""
        if self.kind == "blocking":
            with Tollhouse(URL, KEY, transport=self.transport, sleep=self.pauses.append, **self.options) as client:
                result = attrgetter(method)(client)(*arguments, **named)
                return list(result) if hasattr(result, "__next__") else result
        return asyncio.run(self._asynchronously(method, arguments, named))

    async def _asynchronously(self, method: str, arguments: Iterable[Any], named: dict[str, Any]) -> Any:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        async with AsyncTollhouse(URL, KEY, transport=self.transport, sleep=sleep, **self.options) as client:
            result = attrgetter(method)(client)(*arguments, **named)
            if hasattr(result, "__anext__"):
                return [item async for item in result]
            return await result

    @property
    def sent(self) -> list[Any]:
        """The bodies of the requests."""
        return [
            None if request.body is None else msgspec.json.decode(request.body) for request in self.transport.requests
        ]


@pytest.fixture(params=["blocking", "asyncio"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)
