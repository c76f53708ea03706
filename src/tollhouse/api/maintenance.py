"""`/v1/admin/maintenance`: new subscriptions paused for a time, as JSON for staff and their machines."""

from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tollhouse.api.answers import TheHouse
from tollhouse.api.sessions import AnyRequest
from tollhouse.api.staff import staff_caller
from tollhouse.billing import maintenance
from tollhouse.billing.maintenance import MaintenanceState, MaintenanceTime

PATH = "/v1/admin/maintenance"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class MaintenanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long, such as `1h`, and why."""

    reason: Text
    lasts: Text = msgspec.field(name="for", default="1h")


class Ended(msgspec.Struct, frozen=True):
    """How many were ended."""

    ended: int


@get(PATH, include_in_schema=False)
async def read_maintenance(house: TheHouse, request: AnyRequest) -> MaintenanceState:
    """Whether it is on, and its history."""
    await staff_caller(house, request)
    async with house.store.reading() as tx:
        return await maintenance.read_state(tx, house.store.clock.now_ms())


@post(PATH, status_code=200, include_in_schema=False)
async def begin_maintenance(
    house: TheHouse, request: AnyRequest, data: JSONBody[MaintenanceRequest]
) -> MaintenanceTime:
    """Pause new subscriptions from now on."""
    who = await staff_caller(house, request)
    lasts_ms = maintenance.lasting(data.lasts)
    async with house.store.transaction() as tx:
        now = house.store.clock.now_ms()
        begun = await maintenance.switch_on(tx, by_whom=who, reason=data.reason, lasts_ms=lasts_ms, now=now)
    return maintenance.told(begun)


@delete(PATH, status_code=200, include_in_schema=False)
async def end_maintenance(house: TheHouse, request: AnyRequest) -> Ended:
    """Sell again from now on."""
    who = await staff_caller(house, request)
    async with house.store.transaction() as tx:
        return Ended(await maintenance.switch_off(tx, by_whom=who, now=house.store.clock.now_ms()))


def maintenance_routes() -> list[HTTPRouteHandler]:
    """The handlers, for the application."""
    return [read_maintenance, begin_maintenance, end_maintenance]
