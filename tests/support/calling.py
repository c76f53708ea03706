"""The plainest client: one request, no retry, so that a test knows what was answered and what was not."""

from __future__ import annotations

from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Called(msgspec.Struct, frozen=True):
    """An answer: status, decoded body, headers."""

    status: int
    body: Any
    headers: dict[str, str]


class Unanswered(Exception):
    """The connection broke, or nothing came in time: whether the request took effect is not known."""


class Api:
    """Calls one server with its secret key."""

    def __init__(self, url: str, secret_key: str, *, connections: int = 64, timeout: float = 30.0) -> None:
        self.url = url
        self._session = aiohttp.ClientSession(
            headers={"authorization": f"Bearer {secret_key}"},
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=timeout),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> Called:
        """Raises Unanswered."""
        data = None if body is None else _encode(body)
        try:
            async with self._session.request(
                method, self.url + path, data=data, headers={"content-type": "application/json"}
            ) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(f"{method} {path}: {error!r}") from error
        return Called(answer.status, _decode(text) if text else None, dict(answer.headers))

    async def post(self, path: str, body: object = None) -> Called:
        """Raises Unanswered."""
        return await self.call("POST", path, {} if body is None else body)

    async def get(self, path: str) -> Called:
        """Raises Unanswered."""
        return await self.call("GET", path)

    async def customer(self, name: str) -> str:
        """Create or get a customer; its id."""
        made = await self.post("/v1/customers", {"email": f"{name}@example.com", "external_id": name})
        if made.status not in (200, 201):
            raise RuntimeError(f"the customer was not made: {made}")
        found: str = made.body["id"]
        return found

    async def admit(self, customer: str, action: str, key: str | None = None, **more: object) -> Called:
        """`POST /v1/admit`. Raises Unanswered."""
        body = {"customer": customer, "action": action, **more}
        return await self.post("/v1/admit", body if key is None else {**body, "key": key})
