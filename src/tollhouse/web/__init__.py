"""The pages for visitors and customers. `routes(house)` is what the application mounts."""

from litestar import Router
from litestar.di import Provide

from tollhouse.house import House
from tollhouse.pages import Pages
from tollhouse.web import public
from tollhouse.web.visiting import Site

LARGEST_FORM = 64 * 1024


def routes(house: House) -> list[Router]:
    """Every page, below `/`, outside the OpenAPI document."""
    site = Site(house, Pages(house.settings, "tollhouse.web"))
    return [
        Router(
            path="/",
            route_handlers=[public.landing, public.pricing, public.static],
            dependencies={"site": Provide(lambda: site, sync_to_thread=False)},
            include_in_schema=False,
            request_max_body_size=LARGEST_FORM,
        )
    ]
