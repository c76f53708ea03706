"""What handlers of the staff's pages are given, and who may open them."""

from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from tollhouse.house import House
from tollhouse.kernel.errors import NotAllowed
from tollhouse.pages import Pages
from tollhouse.pages.visiting import AnyRequest, Front, Visit, receive


class Office(Front, frozen=True):
    """The house behind the pages."""

    house: House


TheOffice: TypeAlias = NamedDependency[SkipValidation[Office]]


def open_office(house: House) -> Office:
    """The office of this process."""
    pages = Pages(house.settings, "tollhouse.admin")
    return Office(house.settings, house.catalog.product, house.store, house.identity, pages, house)


async def receive_staff(office: Office, request: AnyRequest) -> Visit:
    """A request of somebody with a staff role. Raises NotAuthenticated, NotAllowed `not_staff`."""
    visit = await receive(office, request)
    if visit.signed_in.user.staff_role is None:
        raise NotAllowed("this page is for staff", code="not_staff", fix="ask somebody to run `tollhouse staff add`")
    return visit
