"""How a request travels. Any object with `send` (or `send_async`) and `close` can take the place of the network."""

from collections.abc import Callable, Mapping
from typing import Protocol

import aiohttp
import msgspec
import urllib3

from tollhouse_sdk.errors import ConnectionFailed, TimedOut

POOL_SIZE = 32


class Request(msgspec.Struct, frozen=True):
    """One HTTP request. `timeout` is how long its answer may take, in seconds."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float

    def __repr__(self) -> str:  # the headers hold the secret key
        return f"<Request {self.method} {self.url}>"


class Response(msgspec.Struct, frozen=True):
    """One HTTP answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Carries requests for `Tollhouse`. Raises ConnectionFailed or TimedOut, and nothing else."""

    def send(self, request: Request) -> Response: ...

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """Carries requests for `AsyncTollhouse`. Raises ConnectionFailed or TimedOut, and nothing else."""

    async def send_async(self, request: Request) -> Response: ...

    async def close_async(self) -> None: ...


class HttpTransport:
    """urllib3 with a pool of kept-alive connections; safe to share between threads."""

    def __init__(self, pool_size: int = POOL_SIZE) -> None:
        self._pool = urllib3.PoolManager(maxsize=pool_size, retries=False)

    def send(self, request: Request) -> Response:
        """One request, one answer; redirects are not followed, since the secret key would go along."""
        try:
            answer = self._pool.request(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=urllib3.Timeout(total=request.timeout),
                redirect=False,
            )
        except urllib3.exceptions.TimeoutError as error:
            raise TimedOut(f"{_where(request)} did not answer within {request.timeout:.3g} s") from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionFailed(f"{_where(request)}: {error}") from error
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def close(self) -> None:
        """Closes the kept connections."""
        self._pool.clear()


class AsyncHttpTransport:
    """aiohttp with a pool of kept-alive connections, opened at the first request in the loop that makes it."""

    def __init__(self, pool_size: int = POOL_SIZE) -> None:
        self._pool_size = pool_size
        self._session: aiohttp.ClientSession | None = None

    async def send_async(self, request: Request) -> Response:
        """One request, one answer; redirects are not followed, since the secret key would go along."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=self._pool_size))
        try:
            async with self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                timeout=aiohttp.ClientTimeout(total=request.timeout),
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
        except TimeoutError as error:
            raise TimedOut(f"{_where(request)} did not answer within {request.timeout:.3g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionFailed(f"{_where(request)}: {str(error) or type(error).__name__}") from error
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)

    async def close_async(self) -> None:
        """Closes the kept connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class MockTransport:
    """For tests: a function answers instead of the network, for both clients. `requests` keeps what was sent.

    The function may raise ConnectionFailed or TimedOut to play a broken network.
    """

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self.requests: list[Request] = []
        self.closed = False

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        return self._answer(request)

    def close(self) -> None:
        self.closed = True

    async def send_async(self, request: Request) -> Response:
        return self.send(request)

    async def close_async(self) -> None:
        self.close()


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer for MockTransport with this JSON body."""
    body = msgspec.json.Encoder(decimal_format="number").encode(value)
    return Response(status, {"content-type": "application/json", **(headers or {})}, body)


def _where(request: Request) -> str:
    return f"{request.method} {request.url}"
