"""The customer's invoices as files."""

from litestar import Response, get
from litestar.params import FromPath

from tollhouse.billing.actions import read_file
from tollhouse.pages.files import pdf
from tollhouse.pages.visiting import AnyRequest
from tollhouse.web.account import customer_of, signed_in
from tollhouse.web.site import TheSite


@get("/app/billing/invoices/{invoice:str}/pdf")
async def invoice_file(site: TheSite, request: AnyRequest, invoice: FromPath[str]) -> Response[bytes]:
    """The PDF of one of the customer's own invoices; for anybody else there is no such page."""
    _, user = await signed_in(site, request)
    async with site.house.store.reading() as tx:
        found = await read_file(tx, await customer_of(tx, user), invoice)
    return pdf(found.name, found.pdf)
