"""Pages that anybody may open: the product's own page, and what its plans cost."""

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from tollhouse.billing import maintenance
from tollhouse.billing.actions import currency_of
from tollhouse.billing.quotes import Quote, quotes_of
from tollhouse.catalog.model import Every
from tollhouse.customers.actions import customer_of_user
from tollhouse.ledger.book import read_state
from tollhouse.pages import load_assets, texts_in
from tollhouse.pages.visiting import AnyRequest, Visit, receive
from tollhouse.web import offers
from tollhouse.web.site import Site, TheSite
from tollhouse.web.views import sample_meter

FOR_EVER = "public, max-age=31536000, immutable"


@get("/")
async def landing(site: TheSite, request: AnyRequest) -> Response[str]:
    """What the product does, what that costs, which plans there are."""
    visit = await receive(site, request)
    catalog = site.house.catalog
    plans = offers.offers(catalog, "month")
    tools = offers.tool_offers(catalog)
    actions = offers.action_offers(catalog)
    first = offers.first_meter(catalog)
    free = next((plan for plan in plans if plan.plan == catalog.free_plan), None)
    sample = (
        sample_meter(first, free.first.amount, texts_in(visit.shell.locale)) if first and free and free.first else None
    )
    values = {
        "plans": plans,
        "tools": tools,
        "actions": actions,
        "free": free,
        "first_label": (first.label or first.name) if first else "",
        "sample": sample,
        "sample_plan": free.title if free else "",
        "sample_lines": [line for line in tools or actions if line.cost][:3],
    }
    return site.pages.render("landing.html", visit.shell, values, cookies=visit.cookies)


@get("/pricing")
async def pricing(site: TheSite, request: AnyRequest) -> Response[str]:
    """The plans side by side, by the month or the year."""
    visit = await receive(site, request)
    catalog = site.house.catalog
    every: Every = "year" if visit.shell.query.get("every") == "year" else "month"
    current, own, quotes = await _present_plan(site, visit)
    async with site.store.reading() as tx:
        paused_until = await maintenance.paused_until(tx, site.now())
    sold_in = offers.currencies_of(catalog)
    asked = visit.shell.query.get("currency", "").lower()
    currency = own or (asked if asked in sold_in else None)
    both = offers.has_both_periods(catalog, own)
    marked = visit.shell.query.get("plan")
    sold = offers.offers(catalog, every, current=current, marked=marked, currency=currency, own=own)
    plans = offers.with_quotes(sold, quotes)
    values = {
        "plans": plans,
        "free": next((plan for plan in plans if plan.plan == catalog.free_plan), None),
        "every": every,
        "both_periods": both,
        "saving": offers.best_saving(catalog, currency) if both else None,
        "meters": list(catalog.meters.values()),
        "packs": offers.pack_offers(catalog, currency, own),
        "currencies": sold_in if own is None and len(sold_in) > 1 else [],
        "currency": currency or sold_in[0] if sold_in else None,
        "own_currency": own,
        "paused_until": paused_until,
    }
    return site.pages.render("pricing.html", visit.shell, values, cookies=visit.cookies)


async def _present_plan(site: Site, visit: Visit) -> tuple[str | None, str | None, list[Quote]]:
    """The plan of the customer who looks at the prices, in what it pays, and its quotes; nothing for visitors."""
    if visit.session is None:
        return None, None, []
    async with site.store.reading() as tx:
        customer = await customer_of_user(tx, visit.session.user.id)
        if customer is None:
            return None, None, []
        now = site.now()
        state = await read_state(tx, site.house.catalog, customer, now)
        return state.plan, await currency_of(tx, customer), await quotes_of(tx, customer, now)


@get("/static/{name:str}", cache_control=None)
async def static(name: FromPath[str]) -> Response[bytes]:
    """A static file, under its name with the hash: it never changes, so it is kept for ever."""
    asset = load_assets().by_path.get(f"/static/{name}")
    if asset is None:
        raise NotFoundException()
    headers = {"Cache-Control": FOR_EVER, "X-Content-Type-Options": "nosniff"}
    return Response(content=asset.content, media_type=asset.media_type, headers=headers)
