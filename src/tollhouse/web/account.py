"""The signed-in customer's account, read once for a page, and the frame that the app's pages stand in."""

from collections.abc import Callable

import msgspec
from litestar import Response

from tollhouse.admission.lapsing import read_current
from tollhouse.catalog.model import PlanVersion
from tollhouse.customers.actions import customer_of_user
from tollhouse.identity import User
from tollhouse.kernel.errors import NotAllowed
from tollhouse.ledger.book import plan_of
from tollhouse.ledger.model import State
from tollhouse.ledger.views import upgrade_for
from tollhouse.pages import texts_in
from tollhouse.pages.failures import visit_of
from tollhouse.pages.visiting import AnyRequest, Visit, receive
from tollhouse.store import Tx
from tollhouse.web.site import Site
from tollhouse.web.views import MeterCard, meter_cards


class Unproven(NotAllowed):
    """The user's customer waits until the e-mail address is proven."""

    default_code = "address_unproven"


class Account(msgspec.Struct, frozen=True):
    """A customer as one of its users sees it, at `now`."""

    visit: Visit
    user: User
    customer: str
    state: State
    plan: PlanVersion
    meters: list[MeterCard]
    upgrade: PlanVersion | None
    now: int
    has_tools: bool

    @property
    def frame(self) -> dict[str, object]:
        """What the template around every page of the app wants to know."""
        return {"account": self}


async def signed_in(site: Site, request: AnyRequest) -> tuple[Visit, User]:
    """Who is there. Raises NotAuthenticated."""
    visit = await receive(site, request)
    return visit, visit.signed_in.user


async def customer_of(tx: Tx, user: User) -> str:
    """The user's customer. Raises Unproven."""
    customer = await customer_of_user(tx, user.id)
    if customer is None:
        raise Unproven("this address belongs to an account that waits for its owner", fix="open the link of the e-mail")
    return customer


async def load(site: Site, visit: Visit, tx: Tx) -> Account:
    """The account as it stands. Raises NotAuthenticated, Unproven."""
    catalog, user, now = site.house.catalog, visit.signed_in.user, site.now()
    customer = await customer_of(tx, user)
    state = await read_current(tx, catalog, customer, now)
    plan = plan_of(catalog, state)
    better = upgrade_for(catalog, plan, None)
    texts = texts_in(visit.shell.locale)
    cards = meter_cards(state, plan, catalog, now, texts)
    return Account(
        visit,
        user,
        customer,
        state,
        plan,
        cards,
        catalog.plans[better.plan] if better else None,
        now,
        bool(catalog.tools),
    )


def waiting_page(site: Site) -> Callable[[AnyRequest, Unproven], Response[str]]:
    """What such a user sees on every page of the app."""

    def page(request: AnyRequest, error: Unproven) -> Response[str]:
        visit = visit_of(site, request)
        return site.pages.render("waiting.html", visit.shell, {}, status=403, cookies=visit.cookies)

    return page
