"""What handlers of these pages are given."""

from typing import Annotated

from litestar.params import Dependency

from tollhouse.house import House
from tollhouse.pages import Pages
from tollhouse.pages.visiting import Front


class Site(Front, frozen=True):
    """The house behind the pages."""

    house: House


TheSite = Annotated[Site, Dependency(skip_validation=True)]


def open_site(house: House) -> Site:
    """The site of this process."""
    pages = Pages(house.settings, "tollhouse.web")
    return Site(house.settings, house.catalog.product, house.store, house.identity, pages, house)
