"""`/v1/admin/alerts`: what is wrong and what was, as JSON for staff and their machines."""

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from tollhouse.alerts.views import AlertView, read_alerts, view_alert
from tollhouse.api.answers import TheHouse
from tollhouse.api.sessions import AnyRequest
from tollhouse.api.staff import staff_caller


class AlertPage(msgspec.Struct, frozen=True):
    """Each the newest first; of the past ones the last two hundred at most."""

    open: list[AlertView]
    past: list[AlertView]


@get("/v1/admin/alerts", include_in_schema=False)
async def list_alerts(house: TheHouse, request: AnyRequest) -> AlertPage:
    """What is wrong now, and what was."""
    await staff_caller(house, request)
    async with house.store.reading() as tx:
        now_open, past = await read_alerts(tx)
    return AlertPage([view_alert(one) for one in now_open], [view_alert(one) for one in past])


def alert_routes() -> list[HTTPRouteHandler]:
    """The handlers, for the application."""
    return [list_alerts]
