"""One customer's payments beside Stripe's own record, on a page; Stripe is asked each time the page is opened."""

from litestar import Response, get
from litestar.params import FromPath

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.billing.beside import read_beside
from tollhouse.customers.actions import read_customer, resolve
from tollhouse.pages.visiting import AnyRequest


@get("/admin/customers/{reference:str}/stripe")
async def beside_page(office: TheOffice, request: AnyRequest, reference: FromPath[str]) -> Response[str]:
    """What this customer bought and paid, ours and Stripe's, and what differs."""
    visit = await receive_staff(office, request)
    house = office.house
    async with house.store.reading() as tx:
        customer = await read_customer(tx, await resolve(tx, reference))
    beside = await read_beside(house.store, house.catalog, house.stripe, customer.id)
    values = {"customer": customer, "beside": beside, "ready": house.stripe is not None}
    return office.pages.render("beside.html", visit.shell, values, cookies=visit.cookies)


HANDLERS = (beside_page,)
