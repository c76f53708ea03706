"""The first pages for staff: customers, one customer's book, refusals."""

import msgspec
from litestar import Response, get
from litestar.params import FromPath

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.admission.lapsing import read_current
from tollhouse.admission.refusals import refusals_of
from tollhouse.admission.reports import newest_refusals, refusals_by_reason
from tollhouse.admission.tools import recent
from tollhouse.billing.actions import invoices_of, link_of_customer, subscription_of
from tollhouse.billing.payments import payments_of
from tollhouse.customers.actions import read_customer, resolve
from tollhouse.customers.book import view_customer, view_entries
from tollhouse.customers.lots import view_lots
from tollhouse.customers.projects import list_projects
from tollhouse.customers.searching import count_customers, search_customers
from tollhouse.kernel.clock import DAY, parse_rfc3339
from tollhouse.kernel.ids import is_id
from tollhouse.ledger.views import MeterView
from tollhouse.pages.visiting import AnyRequest

PAGE = 50
LOTS = 12


class MeterLine(msgspec.Struct, frozen=True):
    """A meter of a customer with its label."""

    label: str
    view: MeterView


@get("/admin")
async def customers_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """Every customer, the newest first; searched by address, name or id."""
    visit = await receive_staff(office, request)
    catalog = office.house.catalog
    text = visit.shell.query.get("search", "")
    async with office.house.store.reading() as tx:
        found = await search_customers(
            tx, catalog, text, office.now(), before=_cursor(visit.shell.query.get("before", "")), most=PAGE + 1
        )
        total = await count_customers(tx)
    last = found[PAGE - 1].customer if len(found) > PAGE else None
    balance = next((m for m in catalog.meters.values() if m.kind in ("credits", "quota")), None)
    values = {
        "found": found[:PAGE],
        "total": total,
        "search": text,
        "balance": balance,
        "next": f"{last.created_at}.{last.id}" if last else "",
    }
    return office.pages.render("customers.html", visit.shell, values, cookies=visit.cookies)


@get("/admin/customers/{reference:str}")
async def customer_page(office: TheOffice, request: AnyRequest, reference: FromPath[str]) -> Response[str]:
    """One customer: meters, subscription, projects, tools, refusals, and the book."""
    visit = await receive_staff(office, request)
    catalog, now = office.house.catalog, office.now()
    after = visit.shell.query.get("after") or None
    async with office.house.store.reading() as tx:
        customer = await resolve(tx, reference)
        view = await view_customer(tx, catalog, customer, now, read_current)
        page = await view_entries(tx, catalog, customer, after=after, limit=PAGE)
        invoices = await invoices_of(tx, customer, most=24)
        values: dict[str, object] = {
            "customer": await read_customer(tx, customer),
            "view": view,
            "plan": catalog.plans.get(view.plan),
            "meters": [
                MeterLine(meter.label or name, view.meters[name])
                for name, meter in catalog.meters.items()
                if name in view.meters
            ],
            "subscription": await subscription_of(tx, customer),
            "stripe": await link_of_customer(tx, customer),
            "invoices": invoices,
            "files_missing": any(invoice.file_error and invoice.file != "kept" for invoice in invoices),
            "payments": await payments_of(tx, customer, most=10),
            "projects": await list_projects(tx, customer),
            "sessions": await recent(tx, customer, most=10),
            "refusals": await refusals_of(tx, customer, now - 7 * DAY, 10),
            "lots": (await view_lots(tx, catalog, customer, now, read_current, limit=LOTS)).lots,
            "entries": [(entry, parse_rfc3339(entry.at)) for entry in page.entries],
            "next": page.next,
            "labels": {name: meter.label or name for name, meter in catalog.meters.items()},
        }
    return office.pages.render("customer.html", visit.shell, values, cookies=visit.cookies)


@get("/admin/refusals")
async def refusals_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """What was refused in the last day, by reason and by minute."""
    visit = await receive_staff(office, request)
    since = office.now() - DAY
    async with office.house.store.reading() as tx:
        values = {"reasons": await refusals_by_reason(tx, since), "lines": await newest_refusals(tx, since)}
    return office.pages.render("refusals.html", visit.shell, values, cookies=visit.cookies)


def _cursor(text: str) -> tuple[int, str] | None:
    at, _, identifier = text.partition(".")
    moment = _moment(at)
    return (moment, identifier) if moment is not None and is_id(identifier, "cus") else None


def _moment(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 16 else None


HANDLERS = (customers_page, customer_page, refusals_page)
