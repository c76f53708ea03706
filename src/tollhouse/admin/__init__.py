"""The pages for staff. `routes(house)` is what the application mounts."""

from litestar import Router
from litestar.di import Provide

from tollhouse.admin import (
    alerts,
    beside,
    events,
    hooks,
    invoices,
    maintenance,
    moves,
    pages,
    quotes,
    reconciliation,
    security,
    unmapped,
)
from tollhouse.admin.site import FactorRequired, open_office, to_security
from tollhouse.house import House
from tollhouse.pages import failures

LARGEST_FORM = 64 * 1024


def routes(house: House) -> list[Router]:
    """Every page below `/admin`, outside the OpenAPI document."""
    office = open_office(house)
    return [
        Router(
            path="/",
            route_handlers=[
                *moves.HANDLERS,
                *pages.HANDLERS,
                *alerts.HANDLERS,
                *beside.HANDLERS,
                *events.HANDLERS,
                *invoices.HANDLERS,
                *hooks.HANDLERS,
                *quotes.HANDLERS,
                *security.HANDLERS,
                *reconciliation.HANDLERS,
                *unmapped.HANDLERS,
                *maintenance.HANDLERS,
            ],
            dependencies={"office": Provide(lambda: office, sync_to_thread=False)},
            exception_handlers={**failures.handlers(office), FactorRequired: to_security},
            include_in_schema=False,
            request_max_body_size=LARGEST_FORM,
        )
    ]
