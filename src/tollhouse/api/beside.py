"""`/v1/admin/customers/…`: one customer beside Stripe's own record, and its repair, for staff and their machines."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from tollhouse.api.answers import TheHouse, json_answer
from tollhouse.api.sessions import AnyRequest
from tollhouse.api.staff import staff_caller
from tollhouse.billing.actions import require_gateway
from tollhouse.billing.beside import read_beside, told
from tollhouse.billing.reconciling import Found, Run, reconcile_customer
from tollhouse.customers.actions import resolve
from tollhouse.identity.emails import plain_text
from tollhouse.kernel.clock import rfc3339

PATH = "/v1/admin/customers/{reference:str}"
LONGEST_REASON = 500


class ReconcileRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why; it is kept with the run."""

    why: Annotated[str, msgspec.Meta(max_length=LONGEST_REASON)] = "on demand"


class Repaired(msgspec.Struct, frozen=True):
    """One thing that Stripe says otherwise than our books did. `field` is `error` where it could not be compared."""

    field: str
    ours: str | None
    stripes: str | None
    repaired: bool


class Reconciled(msgspec.Struct, frozen=True):
    """The run, as `/admin/reconciliation/{id}` shows it. `finished_at` is null while a worker goes on with it."""

    id: str
    customer: str
    by_whom: str
    why: str
    started_at: str
    finished_at: str | None
    differences: list[Repaired]


@get(f"{PATH}/stripe", include_in_schema=False)
async def read_customer_at_stripe(house: TheHouse, request: AnyRequest, reference: FromPath[str]) -> Response[object]:
    """What this customer bought and paid, ours and Stripe's, and what differs."""
    await staff_caller(house, request)
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
    return json_answer(told(await read_beside(house.store, house.catalog, house.stripe, customer)))


@post(f"{PATH}/reconcile", include_in_schema=False)
async def reconcile_now(
    house: TheHouse, request: AnyRequest, reference: FromPath[str], data: JSONBody[ReconcileRequest]
) -> Response[object]:
    """Repair what differs, now. 202 where a worker has taken it first and goes on."""
    who = await staff_caller(house, request)
    gateway = require_gateway(house.stripe)
    async with house.store.reading() as tx:
        customer = await resolve(tx, reference)
    why = plain_text(data.why, "the reason", LONGEST_REASON) or "on demand"
    run, found = await reconcile_customer(house.store, house.catalog, gateway, customer, by_whom=who, why=why)
    return json_answer(_answer(customer, run, found), 200 if run.finished_at is not None else 202)


def _answer(customer: str, run: Run, found: list[Found]) -> Reconciled:
    return Reconciled(
        run.id, customer, run.by_whom, run.why, rfc3339(run.started_at),
        None if run.finished_at is None else rfc3339(run.finished_at),
        [Repaired(one.field, one.ours, one.stripes, one.repaired) for one in found],
    )  # fmt: skip


def beside_routes() -> list[HTTPRouteHandler]:
    """The handlers, for the application."""
    return [read_customer_at_stripe, reconcile_now]
