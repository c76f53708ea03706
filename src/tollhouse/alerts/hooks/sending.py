"""One POST of a webhook, in bounded time and space: no redirect is followed, no private address reached, and of the
answer no more is read than is shown.
"""

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from tollhouse.alerts.hooks.addresses import AddressRefused, Reach, checked_url, resolved
from tollhouse.alerts.hooks.model import MOST_ENDPOINTS
from tollhouse.kernel.errors import InvalidRequest

TIMEOUT_SECONDS = 15.0
CONNECT_SECONDS = 5.0
LONGEST_ANSWER_BYTES = 1_024


class Answer(msgspec.Struct, frozen=True):
    """What came of one POST: the status and how the body begins, or the error why there is none."""

    status: int | None
    error: str | None
    body: str
    took_ms: int

    @property
    def ok(self) -> bool:
        return self.error is None


class Sender:
    """The connections to receivers. Opened at the first webhook: `serve` starts without them."""

    def __init__(self, reach: Reach, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._reach = reach
        self._timeout = timeout_seconds
        self._session: aiohttp.ClientSession | None = None
        # A name server that does not answer holds up a thread for each host, and nobody else's look-ups.
        self._threads = ThreadPoolExecutor(MOST_ENDPOINTS, "hooks-resolve")

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """POST it. Never raises for what a receiver does: the answer says what went wrong. What counts is the status, also
        of an answer that does not end.
        """
        begun = time.monotonic()
        status: int | None = None
        error: str | None = None
        text = ""
        try:
            checked_url(url, self._reach)
            async with self._opened().post(url, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                text = await _beginning(response)
        except InvalidRequest as refused:
            error = str(refused)
        except TimeoutError:
            error = f"no answer within {self._timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = _told(failure)
        took_ms = round((time.monotonic() - begun) * 1000)
        return Answer(status, error if status is None else _refusal(status), text, took_ms)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(CONNECT_SECONDS, self._timeout)),
                # As many as there are deliveries under way: whoever hangs takes nobody else's connection.
                connector=aiohttp.TCPConnector(limit=0, resolver=_Resolver(self._reach, self._threads)),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"user-agent": "Tollhouse-Webhooks/1"},
            )
        return self._session

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Resolver(AbstractResolver):
    """Names for aiohttp's connector, without private addresses."""

    def __init__(self, reach: Reach, threads: ThreadPoolExecutor) -> None:
        self._reach = reach
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, resolved, host, port, self._reach)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=of, proto=protocol, flags=int(socket.AI_NUMERICHOST)
            )
            for address, of, protocol in found
        ]

    async def close(self) -> None:
        return None


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first kilobyte of the answer; the connection is closed on whoever would send more."""
    read = b""
    while len(read) < LONGEST_ANSWER_BYTES:
        part = await response.content.read(LONGEST_ANSWER_BYTES - len(read))
        if not part:
            break
        read += part
    if not response.content.at_eof():
        response.close()
    return read.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _refusal(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _told(failure: Exception) -> str:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, AddressRefused):
            return f"{cause}; fix: set HOOKS_ALLOW_PRIVATE=true if it is meant"
        cause = cause.__cause__ or cause.__context__
    return f"{type(failure).__name__}: {failure}"[:500]
