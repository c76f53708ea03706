"""A customer's invoices as files, for staff."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.billing.actions import ask_again, read_file
from tollhouse.customers.actions import resolve
from tollhouse.pages.files import pdf
from tollhouse.pages.visiting import AnyRequest, read_form


@get("/admin/customers/{reference:str}/invoices/{invoice:str}/pdf")
async def invoice_file(
    office: TheOffice, request: AnyRequest, reference: FromPath[str], invoice: FromPath[str]
) -> Response[bytes]:
    """The PDF of one of this customer's invoices."""
    await receive_staff(office, request)
    async with office.house.store.reading() as tx:
        found = await read_file(tx, await resolve(tx, reference), invoice)
    return pdf(found.name, found.pdf)


@post("/admin/customers/{reference:str}/invoices/fetch", status_code=303)
async def fetch_form(office: TheOffice, request: AnyRequest, reference: FromPath[str]) -> Redirect:
    """Have the worker ask Stripe again for every PDF that is missing."""
    visit = await receive_staff(office, request)
    await read_form(office, request, visit)
    async with office.house.store.transaction() as tx:
        customer = await resolve(tx, reference)
        await ask_again(tx, customer, office.now())
    return Redirect(f"/admin/customers/{customer}", status_code=303)


HANDLERS = (invoice_file, fetch_form)
