"""'Deciding' beside the hot path: check, leases, refunds and holds. Each handler calls one action."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, post
from litestar.params import FromPath, HeaderParameter, JSONBody

from tollhouse.admission import holds, leases, refunds
from tollhouse.admission.model import Answer
from tollhouse.admission.pricing import scaled
from tollhouse.api.answers import (
    SECRET_KEY_SECURITY,
    TheHouse,
    answers_with,
    json_answer,
    plain,
    problems,
    rate_headers,
)
from tollhouse.api.asks import (
    CheckRequest,
    HoldRequest,
    Text,
    checked_metadata,
    duration,
    fingerprint,
    fingerprint_of,
    one_key,
    prepare,
    terms_of,
)
from tollhouse.api.sessions import server_only
from tollhouse.house import House
from tollhouse.kernel.errors import InvalidRequest

HeaderKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
NO_CUSTOMER = problems(_404="`customer_not_found`")
NO_ADMISSION = problems(_404="`admission_not_found`, `lease_not_found`")
NO_HOLD = problems(_404="`hold_not_found`", _409="`hold_ended`, and how")


class RefundRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Give back all or part. `amount` by meter, or one number where the admission debited one meter."""

    reason: Text
    key: str | None = None
    amount: dict[str, Decimal] | Decimal | None = None


class SettleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The final cost by meter. Meters left out are settled at what was held."""

    amount: dict[str, Decimal]


class ExtendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the hold lasts from now on, such as 60s."""

    ttl: str


@post("/v1/check", status_code=200, summary="Ask without taking", responses=answers_with(Answer) | NO_CUSTOMER)
async def check(house: TheHouse, data: JSONBody[CheckRequest]) -> Response[Any]:
    """As admit, without debit and without a key."""
    charge = house.admission.prices.charge(data.action, data.amount)
    if data.metadata is not None:
        checked_metadata(data.metadata)
    customer = await house.directory.find(data.customer)
    return json_answer(await house.admission.check(customer, charge))


@post(
    "/v1/admissions/{admission_id:str}/heartbeat",
    status_code=200,
    summary="Keep a slot",
    responses=answers_with(leases.HeartbeatAnswer)
    | NO_ADMISSION
    | problems(_410="`lease_lost`: the slot is gone and no other is free"),
)
async def heartbeat(house: TheHouse, admission_id: FromPath[str]) -> Response[Any]:
    """Keep a leased slot; after it was lost take a free one again, or answer 410."""
    async with house.store.transaction() as tx:
        answer = await leases.heartbeat(tx, house.catalog, plain(admission_id, "the id"), house.store.clock.now_ms())
    return json_answer(answer)


@post(
    "/v1/admissions/{admission_id:str}/end",
    status_code=200,
    summary="Give a slot back",
    responses=answers_with(leases.EndAnswer) | NO_ADMISSION,
)
async def end(house: TheHouse, admission_id: FromPath[str]) -> Response[Any]:
    """Give a leased slot back."""
    async with house.store.transaction() as tx:
        answer = await leases.end(tx, house.catalog, plain(admission_id, "the id"), house.store.clock.now_ms())
    return json_answer(answer)


@post(
    "/v1/admissions/{admission_id:str}/refund",
    status_code=200,
    summary="Give back what was taken",
    responses=answers_with(refunds.RefundAnswer) | NO_ADMISSION | problems(_409="`refund_exceeds`, `hold_open`"),
)
async def refund(
    house: TheHouse, admission_id: FromPath[str], data: JSONBody[RefundRequest], idempotency_key: HeaderKey = None
) -> Response[Any]:
    """Give back all or part, in sum never more than was taken; to the lot and period it came from."""
    key = one_key(data.key, idempotency_key)
    if key is None:
        raise InvalidRequest(
            "a refund needs a key", code="key_required", fix="send `key` or the Idempotency-Key header"
        )
    async with house.store.transaction() as tx:
        amounts = await _amounts(house, tx, plain(admission_id, "the id"), data.amount)
        answer = await refunds.refund(
            tx, house.catalog, admission_id, amounts, house.store.clock.now_ms(),
            key=key, fingerprint=fingerprint(admission_id, data.reason, amounts), reason=data.reason,
        )  # fmt: skip
    return json_answer(answer)


async def _amounts(
    house: House, tx: Any, admission: str, amount: dict[str, Decimal] | Decimal | None
) -> dict[str, int] | None:
    if amount is None:
        return None
    if isinstance(amount, Decimal):
        meters = await refunds.returnable_meters(tx, house.catalog, admission)
        if len(meters) != 1:
            raise InvalidRequest(
                "one number is not clear here: the admission debited " + (", ".join(meters) or "nothing that comes back"),
                code="invalid_amount", fix='send `"amount": {"meter": number}`',
            )  # fmt: skip
        amount = {meters[0]: amount}
    return {meter: scaled(value, meter, house.catalog) for meter, value in sorted(amount.items())}


@post("/v1/holds", status_code=200, summary="Take now, settle later", responses=answers_with(Answer) | NO_CUSTOMER)
async def hold(house: TheHouse, data: JSONBody[HoldRequest], idempotency_key: HeaderKey = None) -> Response[Any]:
    """Debit now, settle later; the same answers as admit, with when the hold expires."""
    terms = terms_of(data)
    holds.check_ttl(terms.ttl_ms)
    ready = prepare(data, house.admission.prices, idempotency_key)
    customer = await house.directory.find(data.customer)
    mark = fingerprint_of(customer, ready, data.amount is not None, data.ttl, data.on_expiry)
    outcome = await house.admission.submit("hold", customer, ready.charge, ready.key, mark, ready.metadata, terms)
    return Response(outcome.body, media_type="application/json", status_code=200, headers=rate_headers(outcome.limit))


@post(
    "/v1/holds/{hold_id:str}/settle",
    status_code=200,
    summary="Settle a hold",
    responses=answers_with(holds.HoldAnswer) | NO_HOLD,
)
async def settle(house: TheHouse, hold_id: FromPath[str], data: JSONBody[SettleRequest]) -> Response[Any]:
    """The final cost: less comes back, more is debited down to zero, the rest is reported as `shortfall`."""
    amounts = {meter: scaled(value, meter, house.catalog) for meter, value in data.amount.items()}
    async with house.store.transaction() as tx:
        answer = await holds.settle(tx, house.catalog, plain(hold_id, "the id"), amounts, house.store.clock.now_ms())
    return json_answer(answer)


@post(
    "/v1/holds/{hold_id:str}/extend",
    status_code=200,
    summary="Keep a hold longer",
    responses=answers_with(holds.HoldAnswer) | NO_HOLD,
)
async def extend(house: TheHouse, hold_id: FromPath[str], data: JSONBody[ExtendRequest]) -> Response[Any]:
    """The hold lasts so long from now on."""
    ttl_ms = duration(data.ttl, "ttl")
    async with house.store.transaction() as tx:
        answer = await holds.extend(tx, house.catalog, plain(hold_id, "the id"), ttl_ms, house.store.clock.now_ms())
    return json_answer(answer)


@post(
    "/v1/holds/{hold_id:str}/release",
    status_code=200,
    summary="Give a hold back",
    responses=answers_with(holds.HoldAnswer) | NO_HOLD,
)
async def release(house: TheHouse, hold_id: FromPath[str]) -> Response[Any]:
    """All comes back."""
    async with house.store.transaction() as tx:
        answer = await holds.release(tx, house.catalog, plain(hold_id, "the id"), house.store.clock.now_ms())
    return json_answer(answer)


def routes(house: House) -> Router:
    """Everything of 'Deciding' that is not the hot path."""
    return Router(
        path="/",
        route_handlers=[check, heartbeat, end, refund, hold, settle, extend, release],
        guards=[server_only(house)],
        security=SECRET_KEY_SECURITY,
        tags=["Deciding"],
    )
