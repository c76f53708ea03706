"""Quotes of one customer, on a page: what stands, a form for another, and a button that withdraws."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tollhouse.admin.site import Office, TheOffice, receive_staff
from tollhouse.billing.actions import open_till
from tollhouse.billing.quotes import quotes_of
from tollhouse.billing.quoting import quote_plan, withdraw_quote
from tollhouse.customers.actions import read_customer, resolve
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import InvalidRequest, TollhouseError
from tollhouse.pages.visiting import AnyRequest, Visit, read_form, refusal_status

USUAL_DAYS = "30"


@get("/admin/customers/{reference:str}/quotes")
async def quotes_page(office: TheOffice, request: AnyRequest, reference: FromPath[str]) -> Response[str]:
    """Every quote of this customer, the newest first, and the form for another."""
    return await _page(office, await receive_staff(office, request), reference, {})


@post("/admin/customers/{reference:str}/quotes", status_code=303)
async def set_form(office: TheOffice, request: AnyRequest, reference: FromPath[str]) -> Response[str] | Redirect:
    """Quote a price to this customer."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    plan, _, interval = fields.get("plan", "").partition(":")
    try:
        async with office.house.store.transaction() as tx:
            customer = await resolve(tx, reference)
            await quote_plan(
                tx, office.house.catalog, customer, plan=plan, interval=interval, kind=fields.get("kind", ""),
                value=fields.get("value", ""), duration=fields.get("duration", ""), months=fields.get("months", ""),
                reason=fields.get("reason", ""), by_whom=visit.signed_in.user.email, lasts_ms=_days(fields),
                now=office.now(),
            )  # fmt: skip
    except TollhouseError as error:
        return await _page(office, visit, reference, fields, error)
    return Redirect(f"/admin/customers/{customer}/quotes?done=set", status_code=303)


@post("/admin/customers/{reference:str}/quotes/{quote:str}/withdraw", status_code=303)
async def withdraw_form(
    office: TheOffice, request: AnyRequest, reference: FromPath[str], quote: FromPath[str]
) -> Response[str] | Redirect:
    """Nobody buys at this quote any more."""
    visit = await receive_staff(office, request)
    fields = await read_form(office, request, visit)
    house = office.house
    try:
        till = open_till(house.store, house.catalog, house.stripe, house.settings)
        await withdraw_quote(till, quote, by_whom=visit.signed_in.user.email, why=fields.get("why", ""))
    except TollhouseError as error:
        return await _page(office, visit, reference, fields, error)
    return Redirect(f"/admin/customers/{reference}/quotes?done=withdrawn", status_code=303)


def _days(fields: dict[str, str]) -> int:
    days = fields.get("days", "").strip()
    if not (days.isascii() and days.isdigit() and len(days) < 5):
        raise InvalidRequest(f"{days[:20]!r} is no number of days", code="invalid_quote", fix="write 1 to 366")
    return int(days) * DAY


async def _page(
    office: Office, visit: Visit, reference: str, fields: dict[str, str], error: TollhouseError | None = None
) -> Response[str]:
    catalog = office.house.catalog
    async with office.house.store.reading() as tx:
        customer = await resolve(tx, reference)
        values: dict[str, object] = {
            "customer": await read_customer(tx, customer),
            "quotes": await quotes_of(tx, customer, office.now()),
            "titles": {plan.plan: plan.title for plan in catalog.plans.values()},
            "sold": [
                (plan, price) for plan in catalog.plans.values() if not plan.contact_only for price in plan.prices
            ],
            "fields": {"days": USUAL_DAYS, "duration": "forever", "kind": "percent", **fields},
            "error": error,
            "done": visit.shell.query.get("done", ""),
        }
    status = refusal_status(error) if error is not None else 200
    return office.pages.render("quotes.html", visit.shell, values, status=status, cookies=visit.cookies)


HANDLERS = (quotes_page, set_form, withdraw_form)
