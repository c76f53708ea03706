"""Our books against Stripe's, on pages: the runs, what each found, and a form that asks the worker for another."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.billing.actions import require_gateway
from tollhouse.billing.reconciling import (
    UNREADABLE,
    begin,
    count_links,
    differences_of_run,
    read_run,
    runs,
    stripe_id_of,
)
from tollhouse.customers.actions import resolve
from tollhouse.identity.emails import plain_text
from tollhouse.pages.visiting import AnyRequest, read_form

MOST_SHOWN = 500
LONGEST_REASON = 500


@get("/admin/reconciliation")
async def runs_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """The newest runs, and the form for another."""
    visit = await receive_staff(office, request)
    async with office.house.store.reading() as tx:
        values = {"runs": await runs(tx), "linked": await count_links(tx), "ready": office.house.stripe is not None}
    return office.pages.render("reconciliation.html", visit.shell, values, cookies=visit.cookies)


@get("/admin/reconciliation/{run:str}")
async def run_page(office: TheOffice, request: AnyRequest, run: FromPath[str]) -> Response[str]:
    """One run: how far it is, and every difference."""
    visit = await receive_staff(office, request)
    async with office.house.store.reading() as tx:
        found = await read_run(tx, run)
        values = {
            "run": found,
            "total": 1 if found.only else await count_links(tx),
            "differences": await differences_of_run(tx, run, MOST_SHOWN),
            "unreadable": UNREADABLE,
        }
    return office.pages.render("reconciliation_run.html", visit.shell, values, cookies=visit.cookies)


@post("/admin/reconciliation", status_code=303)
async def start_form(office: TheOffice, request: AnyRequest) -> Redirect:
    """Begin a run, of everybody or of one customer; the worker goes through it."""
    visit = await receive_staff(office, request)
    form = await read_form(office, request, visit)
    require_gateway(office.house.stripe)
    async with office.house.store.transaction() as tx:
        only = await stripe_id_of(tx, await resolve(tx, form["customer"])) if form.get("customer") else None
        why = plain_text(form.get("why", ""), "the reason", LONGEST_REASON)
        run = await begin(
            tx, by_whom=visit.signed_in.user.email, why=why or "on demand", dry_run=form.get("mode") != "repair",
            now=office.now(), only=only,
        )  # fmt: skip
    office.house.bells.reconciliation.set()
    return Redirect(f"/admin/reconciliation/{run.id}", status_code=303)


HANDLERS = (runs_page, run_page, start_form)
