"""What handlers of the staff's pages are given, and who may open them."""

from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Redirect

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


class FactorRequired(NotAllowed):
    """This environment lets in only staff who sign in with a code too."""

    default_code = "second_factor_required"


async def receive_colleague(office: Office, request: AnyRequest) -> Visit:
    """A request of somebody with a staff role, for the page on which the second factor is set up. Raises as
    `receive_staff`, but for that factor."""
    visit = await receive(office, request)
    if visit.signed_in.user.staff_role is None:
        raise NotAllowed("this page is for staff", code="not_staff", fix="ask somebody to run `tollhouse staff add`")
    return visit


async def receive_staff(office: Office, request: AnyRequest) -> Visit:
    """A request of somebody with a staff role. Raises NotAuthenticated, NotAllowed `not_staff`, FactorRequired."""
    visit = await receive_colleague(office, request)
    if office.settings.web.staff_totp == "required" and not visit.signed_in.second_factor:
        raise FactorRequired("staff sign in with a one-time code here", fix="set it up on /admin/security")
    return visit


def to_security(request: AnyRequest, error: FactorRequired) -> Redirect:
    """Where the second factor is set up."""
    return Redirect("/admin/security", status_code=303)
