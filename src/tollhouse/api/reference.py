"""`/docs`: the calls and their errors as pages of ours, and the OpenAPI document itself. Nothing comes from another host."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation
from litestar.types import ControllerRouterHandler

from tollhouse.api.codes import CHAPTERS, PREFIXES
from tollhouse.api.documented import Document, document
from tollhouse.api.outline import Outline, outline
from tollhouse.house import House
from tollhouse.pages import Pages, Shell, new_nonce


class Reference:
    """The document of an application, made when somebody first asks for it."""

    def __init__(self, house: House, routes: Sequence[ControllerRouterHandler]) -> None:
        self._house = house
        self._routes = routes
        self._made: tuple[bytes, Outline] | None = None
        self._pages = Pages(house.settings, "tollhouse.api")

    @property
    def made(self) -> tuple[bytes, Outline]:
        """The document as JSON, and its outline."""
        if self._made is None:
            whole: Document = document(self._house, self._routes)
            self._made = msgspec.json.encode(whole), outline(whole)
        return self._made

    def page(self, template: str, path: str, **values: object) -> Response[str]:
        """One of the pages, in English as the documentation is."""
        house = self._house
        shell = Shell(
            product=house.catalog.product, environment=house.settings.environment, production=house.settings.production,
            locale="en", path=path, nonce=new_nonce(), csrf="",
        )  # fmt: skip
        return self._pages.render(template, shell, values)


TheReference = NamedDependency[SkipValidation[Reference]]


@get("/docs")
async def calls_page(reference: TheReference) -> Response[str]:
    """Every call with what it takes and answers."""
    return reference.page("calls.html", "/docs", outline=reference.made[1])


@get("/docs/errors")
async def errors_page(reference: TheReference) -> Response[str]:
    """Every error code: here the `type` of a problem leads."""
    return reference.page("errors.html", "/docs/errors", chapters=CHAPTERS, prefixes=PREFIXES)


@get(["/docs/openapi.json", "/openapi.json"])
async def openapi_json(reference: TheReference) -> Response[Any]:
    """The OpenAPI document."""
    return Response(reference.made[0], media_type="application/json", headers={"cache-control": "no-cache"})


def reference_routes(house: House, routes: Sequence[ControllerRouterHandler]) -> Router:
    """The pages below /docs, about these routes."""
    reference = Reference(house, routes)
    return Router(
        "/",
        route_handlers=[calls_page, errors_page, openapi_json],
        dependencies={"reference": Provide(lambda: reference, sync_to_thread=False)},
        include_in_schema=False,
    )
