"""What handlers of these pages are given."""

from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from tollhouse.house import House
from tollhouse.pages import Pages
from tollhouse.pages.visiting import Front


class Site(Front, frozen=True):
    """The house behind the pages."""

    house: House


TheSite: TypeAlias = NamedDependency[SkipValidation[Site]]


def open_site(house: House) -> Site:
    """The site of this process."""
    pages = Pages(house.settings, "tollhouse.web")
    return Site(house.settings, house.catalog.product, house.store, house.identity, pages, house)
