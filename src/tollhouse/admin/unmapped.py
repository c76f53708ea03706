"""What was bought at prices that no plan maps to, on a page, with a button that applies it once one does."""

from litestar import Response, get, post
from litestar.response import Redirect

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.billing.unmapped import replay_unmapped, unmapped_purchases
from tollhouse.customers.actions import resolve
from tollhouse.pages.visiting import AnyRequest, read_form


@get("/admin/unmapped")
async def unmapped_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """The newest first."""
    visit = await receive_staff(office, request)
    async with office.house.store.reading() as tx:
        values = {"found": await unmapped_purchases(tx), "done": visit.shell.query.get("done", "")}
    return office.pages.render("unmapped.html", visit.shell, values, cookies=visit.cookies)


@post("/admin/unmapped/replay", status_code=303)
async def replay_unmapped_form(office: TheOffice, request: AnyRequest) -> Redirect:
    """Look at this customer's purchases again."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    async with office.house.store.transaction() as tx:
        await replay_unmapped(tx, await resolve(tx, fields.get("customer", "")), office.now())
    office.house.bells.inbox.set()
    return Redirect("/admin/unmapped?done=replayed", status_code=303)


HANDLERS = (unmapped_page, replay_unmapped_form)
