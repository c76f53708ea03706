"""Whether this instance can serve."""

from typing import Any

import msgspec
from litestar import Response, get

import tollhouse
from tollhouse.api.answers import NO_SECURITY, TheHouse, answers_with, json_answer
from tollhouse.billing.checks import BillingCheck
from tollhouse.billing.checks import checks as billing_checks
from tollhouse.house import House
from tollhouse.kernel.errors import TollhouseError
from tollhouse.store.queries import PING


class Health(msgspec.Struct, frozen=True):
    """`status` is ok or failing; `checks` says of each thing whether it works, and the fix. Trouble with payments is
    shown and does not fail the instance."""

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
    # Shown, but no reason to take this instance out of service: everything but selling goes on.
    shown = checks | {check.name: _told(check) for check in billing_checks(house.settings, house.webhooks)}
    answer = Health(status, house.settings.environment, tollhouse.__version__, shown)
    return json_answer(answer, 200 if status == "ok" else 503, {"cache-control": "no-store"})


def _told(check: BillingCheck) -> str:
    return "ok" if check.status == "ok" else f"{check.message}; fix: {check.fix}"


async def _database(house: House) -> str:
    try:
        async with house.store.reading() as tx:
            await tx.fetch_one(PING)
    except (TollhouseError, OSError) as error:
        return f"does not answer: {error}"
    return "ok"
