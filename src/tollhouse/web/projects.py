"""The customer's projects, within what the plan allows (S3)."""

from litestar import Response, get, post
from litestar.response import Redirect

from tollhouse.admission.lapsing import lapse
from tollhouse.customers.projects import COUNT_METER, create_project, list_projects
from tollhouse.kernel.errors import InvalidRequest, Refused, TollhouseError
from tollhouse.ledger.views import Upgrade
from tollhouse.pages import texts_in
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, receive, refusal_status
from tollhouse.pages.words import error_words
from tollhouse.web.account import customer_of, load
from tollhouse.web.site import Site, TheSite


@get("/app/projects")
async def projects_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """The projects and their public keys."""
    return await _page(site, await receive(site, request))


@post("/app/projects", status_code=200)
async def create_project_form(site: TheSite, request: AnyRequest) -> Response[str] | Redirect:
    """One more project, or which plan would allow it."""
    visit = await receive(site, request)
    fields = await read_form(site, request, visit)
    house = site.house
    name = fields.get("name", "")
    async with house.store.reading() as tx:
        customer = await customer_of(tx, visit.signed_in.user)
    try:
        async with house.store.transaction() as tx:
            now = site.now()
            await lapse(tx, house.catalog, customer, now)
            await create_project(tx, house.catalog, customer, name, now)
    except (Refused, InvalidRequest) as error:
        return await _page(site, visit, error, name)
    house.admission.forget(customer)
    return Redirect("/app/projects?done=created", status_code=303)


async def _page(site: Site, visit: Visit, error: TollhouseError | None = None, name: str = "") -> Response[str]:
    catalog = site.house.catalog
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
        projects = await list_projects(tx, account.customer)
    upgrade = error.fields.get("upgrade") if error else None
    values = account.frame | {
        "projects": projects,
        "meter": next((card for card in account.meters if card.name == COUNT_METER), None),
        "error": error_words(error, texts_in(visit.shell.locale)) if error else "",
        "better": catalog.plans.get(upgrade.plan) if isinstance(upgrade, Upgrade) else None,
        "name": name,
        "done": visit.shell.query.get("done", ""),
    }
    status = refusal_status(error) if error else 200
    return site.pages.render("projects.html", visit.shell, values, status=status, cookies=visit.cookies)
