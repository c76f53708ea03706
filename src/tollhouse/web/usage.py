"""What the customer has used: figures first, then the book, also as CSV."""

import csv
import io
from collections.abc import AsyncIterator

import msgspec
from litestar import Response, get
from litestar.response import Stream

from tollhouse.billing.actions import subscription_of
from tollhouse.catalog.model import Catalog
from tollhouse.customers.book import view_entries
from tollhouse.customers.model import EntryView
from tollhouse.pages import formats, texts_in
from tollhouse.pages.visiting import AnyRequest, receive
from tollhouse.web.account import customer_of, load, signed_in
from tollhouse.web.selling import arrived
from tollhouse.web.site import Site, TheSite
from tollhouse.web.views import entry_line

RECENT = 6
PAGE = 50


class LiveBar(msgspec.Struct, frozen=True):
    """A bar's new state."""

    percent: int
    words: str


class LiveFigures(msgspec.Struct, frozen=True):
    """What the script puts into the page: words by place, bars by meter; and whose they are."""

    customer: str
    words: dict[str, str]
    bars: dict[str, LiveBar]


@get("/app")
async def usage_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """What is left, what limits, what happened last."""
    visit = await receive(site, request)
    catalog = site.house.catalog
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
        recent = await view_entries(tx, catalog, account.customer, limit=RECENT)
        subscription = await subscription_of(tx, account.customer)
    texts = texts_in(visit.shell.locale)
    values = account.frame | {
        "main_meters": [card for card in account.meters if card.kind in ("credits", "quota")],
        "other_meters": [card for card in account.meters if card.kind not in ("credits", "quota")],
        "entries": [entry_line(catalog, entry, texts) for entry in recent.entries],
        "subscription": subscription if arrived(subscription, account.state) else None,
        "done": visit.shell.query.get("done", ""),
    }
    return site.pages.render("usage.html", visit.shell, values, cookies=visit.cookies)


@get("/app/live")
async def live_figures(site: TheSite, request: AnyRequest) -> LiveFigures:
    """The figures of the usage page, for its script."""
    visit = await receive(site, request)
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
    words: dict[str, str] = {}
    for card in account.meters:
        words[f"{card.name}:words"] = card.words
        if card.remaining is not None:
            words[f"{card.name}:remaining"] = formats.number(card.remaining, visit.shell.locale)
    return LiveFigures(
        account.customer, words, {card.name: LiveBar(card.percent, card.words) for card in account.meters}
    )


@get("/app/usage")
async def log_page(site: TheSite, request: AnyRequest) -> Response[str]:
    """The book, newest first, page by page."""
    visit = await receive(site, request)
    catalog = site.house.catalog
    async with site.house.store.reading() as tx:
        account = await load(site, visit, tx)
        after = visit.shell.query.get("after") or None
        page = await view_entries(tx, catalog, account.customer, after=after, limit=PAGE)
    texts = texts_in(visit.shell.locale)
    values = account.frame | {
        "entries": [entry_line(catalog, entry, texts) for entry in page.entries],
        "next": page.next,
        "first_page": after is None,
    }
    return site.pages.render("log.html", visit.shell, values, cookies=visit.cookies)


@get("/app/usage.csv")
async def log_file(site: TheSite, request: AnyRequest) -> Stream:
    """The whole book as CSV, read page by page while it is sent."""
    _, user = await signed_in(site, request)
    async with site.house.store.reading() as tx:
        customer = await customer_of(tx, user)
    headers = {
        "Content-Disposition": 'attachment; filename="usage.csv"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Stream(_csv(site, customer), media_type="text/csv; charset=utf-8", headers=headers)


async def _csv(site: Site, customer: str) -> AsyncIterator[str]:
    catalog = site.house.catalog
    yield _line(["time", "id", "kind", "action", *catalog.meters, "remaining"])
    after: str | None = None
    while True:
        async with site.house.store.reading() as tx:
            page = await view_entries(tx, catalog, customer, after=after)
        yield "".join(_line(_cells(catalog, entry)) for entry in page.entries)
        if page.next is None:
            return
        after = page.next


def _cells(catalog: Catalog, entry: EntryView) -> list[str]:
    deltas = [str(entry.deltas.get(name, "")) for name in catalog.meters]
    remaining = next(iter(entry.remaining.values()), "")
    return [entry.at, entry.id, entry.kind, entry.action, *deltas, str(remaining)]


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
