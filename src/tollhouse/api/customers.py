"""`/v1/customers`: create or get, look, projects, the book, grants. For the product's own servers."""

from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Response, Router, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from tollhouse.admission.lapsing import lapse, read_current
from tollhouse.admission.pricing import scaled
from tollhouse.api.answers import SECRET_KEY_SECURITY, ExactResponse, TheHouse, answers_with, json_answer, problems
from tollhouse.api.asks import fingerprint, one_key
from tollhouse.api.sessions import server_only
from tollhouse.customers.actions import create_or_get, resolve
from tollhouse.customers.book import MOST_ENTRIES, view_customer, view_entries
from tollhouse.customers.lots import MOST_LOTS_SHOWN, view_lots
from tollhouse.customers.model import CustomerView, EntryPage, LotPage, NewCustomer, Project
from tollhouse.customers.projects import create_project, list_projects
from tollhouse.house import House
from tollhouse.identity.emails import plain_text
from tollhouse.kernel.clock import parse_rfc3339, rfc3339
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.money import Money
from tollhouse.kernel.units import LARGEST, unscale
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.granting import NewLot
from tollhouse.ledger.views import Amount

LONGEST_REASON = 500
NOBODY = problems(_404="`customer_not_found`")

Key: TypeAlias = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]


class CustomerRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer of the product's. `external_id` is the product's own id for it."""

    email: str
    external_id: str | None = None
    name: str | None = None
    city: str | None = None
    locale: str | None = None


class ProjectRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One more project."""

    name: str
    key: str | None = None


class ProjectView(msgspec.Struct, frozen=True):
    """A project and its public key (`th_pk_…`), which may stand in pages."""

    id: str
    name: str
    created_at: str
    key: str
    replayed: bool = False


class ProjectList(msgspec.Struct, frozen=True):
    """A customer's projects, the oldest first."""

    items: list[ProjectView]


class Paid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the customer paid for a lot: minor units of a currency."""

    amount: Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
    currency: Annotated[str, msgspec.Meta(pattern="^[a-z]{3}$")]


class GrantRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lot of credits. `key` (or the header Idempotency-Key) makes sure that it is granted once."""

    meter: str
    amount: Decimal
    reason: str
    key: str | None = None
    expires_at: str | None = None
    paid: Paid | None = None


class GrantView(msgspec.Struct, frozen=True):
    """The lot that was granted, in the meter's own units."""

    id: str
    lot: str
    meter: str
    amount: Amount
    expires_at: str | None
    replayed: bool


@post(
    "/",
    status_code=200,
    responses=answers_with(CustomerView, "The customer was there")
    | answers_with(CustomerView, "The customer is new", 201)
    | problems(_409="`email_taken`"),
    summary="Create or get a customer",
)
async def create_customer(house: TheHouse, data: JSONBody[CustomerRequest]) -> Response[CustomerView]:
    """Plan and sign-up grant come in the same transaction, once. 201 when it is new, 200 when it was there."""
    new = NewCustomer(data.email, data.external_id, data.name or "", data.city or "", data.locale or "")
    now = house.store.clock.now_ms()
    async with house.store.transaction() as tx:
        made = await create_or_get(tx, house.catalog, new, now)
        view = await view_customer(tx, house.catalog, made.customer, now, read_current)
    return json_answer(view, 201 if made.created else 200)


@get("/", summary="Find a customer", responses=NOBODY)
async def find_customer(house: TheHouse, external_id: FromQuery[str]) -> CustomerView:
    """By your own id in the query: for ids that cannot stand in a path, because they hold a slash."""
    return await _look(house, external_id)


@get("/{reference:str}", summary="Look at a customer", responses=NOBODY)
async def read_customer(house: TheHouse, reference: FromPath[str]) -> CustomerView:
    """Plan, standing and every meter, as they stand now."""
    return await _look(house, reference)


async def _look(house: House, reference: str) -> CustomerView:
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
        return await view_customer(tx, house.catalog, customer, house.store.clock.now_ms(), read_current)


@get("/{reference:str}/projects", summary="List a customer's projects", responses=NOBODY)
async def read_projects(house: TheHouse, reference: FromPath[str]) -> ProjectList:
    """The oldest first, each with its public key."""
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
        return ProjectList([_project_view(project) for project in await list_projects(tx, customer)])


@post(
    "/{reference:str}/projects",
    status_code=201,
    responses=NOBODY | problems(_403="Refused: `count_exhausted`, `subscription_past_due`, `customer_blocked`"),
    summary="Create a project",
)
async def add_project(
    house: TheHouse, reference: FromPath[str], data: JSONBody[ProjectRequest], idempotency_key: Key = None
) -> ProjectView:
    """Within the plan's count, in one transaction with its debit; 403 `count_exhausted` with the plan that allows more."""
    key = one_key(data.key, idempotency_key)
    async with house.store.transaction() as tx:
        customer = await resolve(tx, reference)
        mark = fingerprint(customer, data.name)
        now = house.store.clock.now_ms()
        await lapse(tx, house.catalog, customer, now)
        project = await create_project(tx, house.catalog, customer, data.name, now, key=key, fingerprint=mark)
    house.admission.forget(customer)
    return _project_view(project)


def _project_view(project: Project) -> ProjectView:
    return ProjectView(project.id, project.name, rfc3339(project.created_at), project.key, project.replayed)


@get("/{reference:str}/entries", summary="Read a customer's book", responses=NOBODY)
async def read_entries(
    house: TheHouse, reference: FromPath[str], after: FromQuery[str | None] = None, limit: FromQuery[int] = MOST_ENTRIES
) -> EntryPage:
    """The newest entries first; `next` is the `after` of the page that follows, null at the end."""
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
        return await view_entries(tx, house.catalog, customer, after=after, limit=limit)


@get("/{reference:str}/lots", summary="Read a customer's lots", responses=NOBODY)
async def read_lots(
    house: TheHouse,
    reference: FromPath[str],
    after: FromQuery[str | None] = None,
    limit: FromQuery[int] = MOST_LOTS_SHOWN,
) -> LotPage:
    """The newest first, each with what was paid for it and how much of that is deferred; `next` as with entries."""
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
        now = house.store.clock.now_ms()
        return await view_lots(tx, house.catalog, customer, now, read_current, after=after, limit=limit)


@post(
    "/{reference:str}/grants",
    status_code=200,
    responses=NOBODY | problems(_409="The customer has too many lots"),
    summary="Grant credits",
)
async def add_grant(
    house: TheHouse, reference: FromPath[str], data: JSONBody[GrantRequest], idempotency_key: Key = None
) -> GrantView:
    """A lot, once per key. What was paid for is a top-up, anything else a gift."""
    key = one_key(data.key, idempotency_key)
    if key is None:
        raise InvalidRequest(
            "a grant needs a key", code="key_required", fix="send `key`, or the Idempotency-Key header"
        )
    reason = plain_text(data.reason, "the reason", LONGEST_REASON)
    if not reason:
        raise InvalidRequest("a grant needs a reason", code="reason_missing", fix="say in a few words why it is given")
    amount = scaled(data.amount, data.meter, house.catalog)
    expires_at = _moment(data.expires_at)
    paid = Money(data.paid.amount, data.paid.currency) if data.paid else None
    lot = NewLot(data.meter, amount, "topup" if paid else "grant", expires_at)
    async with house.store.transaction() as tx:
        customer = await resolve(tx, reference)
        mark = fingerprint(customer, data.meter, str(amount), str(expires_at), reason, paid)
        answer = await ledger.grant(
            tx, house.catalog, customer, lot, house.store.clock.now_ms(),
            key=key, fingerprint=mark, reason=reason, paid=paid,
        )  # fmt: skip
    house.admission.forget(customer)
    return GrantView(
        answer.id, answer.lot, answer.meter, unscale(answer.amount, house.catalog.meters[answer.meter].decimals),
        None if answer.expires_at is None else rfc3339(answer.expires_at), answer.replayed,
    )  # fmt: skip


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = parse_rfc3339(text)
        rfc3339(moment)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"expires_at is not a time: {error}", code="invalid_expires_at", fix="write it as 2027-01-31T00:00:00Z"
        ) from None
    return moment


def customer_routes(house: House) -> Router:
    """The routes below /v1/customers, for callers with a secret key."""
    handlers: list[Any] = [
        create_customer,
        find_customer,
        read_customer,
        read_projects,
        add_project,
        read_entries,
        read_lots,
        add_grant,
    ]
    return Router(
        "/v1/customers",
        route_handlers=handlers,
        guards=[server_only(house)],
        response_class=ExactResponse,
        security=SECRET_KEY_SECURITY,
        tags=["Customers"],
    )
