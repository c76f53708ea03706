"""`/v1/test-clock`: read and move the test clock, and the sandbox's with it. Mounted only where TEST_CLOCK is on."""

from typing import Any

import aiohttp
import msgspec
from litestar import Response, Router, get, post
from litestar.params import JSONBody

from tollhouse.api.answers import SECRET_KEY_SECURITY, TheHouse, answers_with, json_answer
from tollhouse.api.asks import duration
from tollhouse.api.sessions import server_only
from tollhouse.house import House
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import test_clock

SANDBOX_SECONDS = 60.0


class AdvanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far, such as 31d."""

    by: str


class ClockView(msgspec.Struct, frozen=True):
    """What time it is for this installation, and how far it is ahead of the real time."""

    now: str
    ahead_seconds: int


def _view(house: House) -> ClockView:
    clock = house.store.clock
    return ClockView(rfc3339(clock.now_ms()), clock.test_offset_ms // 1000)


@get("/v1/test-clock", summary="Read the test clock", responses=answers_with(ClockView))
async def read_clock(house: TheHouse) -> Response[Any]:
    """The time of this installation."""
    return json_answer(_view(house))


@post("/v1/test-clock/advance", status_code=200, summary="Move the test clock", responses=answers_with(ClockView))
async def advance_clock(house: TheHouse, data: JSONBody[AdvanceRequest]) -> Response[Any]:
    """Move the clock forward; the sandbox's too, where it stands in Stripe's place."""
    by_ms = duration(data.by, "by")
    await test_clock.advance(house.store, by_ms)
    base = house.settings.stripe.api_base
    if base is not None:
        await _advance_sandbox(base, by_ms)
    return json_answer(_view(house))


async def _advance_sandbox(base: str, by_ms: int) -> None:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SANDBOX_SECONDS)) as session,
            session.post(f"{base.rstrip('/')}/_sandbox/clock/advance", json={"seconds": by_ms // 1000}) as answer,
        ):
            answer.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"our clock has moved, the sandbox's has not: {error}", code="sandbox_unreachable",
            fix="start the sandbox, then move its clock on its own page",
        ) from error  # fmt: skip


def routes(house: House) -> Router:
    """The two calls, for callers with a secret key."""
    return Router(
        path="/",
        route_handlers=[read_clock, advance_clock],
        guards=[server_only(house)],
        security=SECRET_KEY_SECURITY,
        tags=["Testing"],
    )
