"""Whether this instance can serve."""

from typing import Any

import msgspec
from litestar import Response, get

import tollhouse
from tollhouse.api.answers import NO_SECURITY, TheHouse, answers_with, json_answer
from tollhouse.house import House
from tollhouse.kernel.errors import TollhouseError
from tollhouse.store import Sql

PING = Sql("select 1 as one")


class Health(msgspec.Struct, frozen=True):
    """`status` is ok or failing; `checks` says of each thing that serving needs whether it works, and the fix."""

    status: str
    environment: str
    version: str
    checks: dict[str, str]


@get(
    ["/health", "/api/health"], tags=["Operating"], security=NO_SECURITY, summary="Whether this instance can serve",
    responses=answers_with(Health) | answers_with(Health, "This instance cannot serve", 503),
)  # fmt: skip
async def health(house: TheHouse) -> Response[Any]:
    """200, or 503 when this instance cannot serve."""
    checks = {
        "database": await _database(house),
        "clock": "ok" if house.store.clock.trusted else "the clock has jumped",
    }
    status = "ok" if all(found == "ok" for found in checks.values()) else "failing"
    answer = Health(status, house.settings.environment, tollhouse.__version__, checks)
    return json_answer(answer, 200 if status == "ok" else 503, {"cache-control": "no-store"})


async def _database(house: House) -> str:
    try:
        async with house.store.reading() as tx:
            await tx.fetch_one(PING)
    except (TollhouseError, OSError) as error:
        return f"does not answer: {error}"
    return "ok"
