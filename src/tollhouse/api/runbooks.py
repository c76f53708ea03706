"""The runbooks' own endpoints that are about use: a tool's access (A5) and the usage of sessions (S6)."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery, HeaderParameter, JSONBody

from tollhouse.admission.lapsing import read_current
from tollhouse.admission.model import Answer
from tollhouse.api.answers import EITHER_SECURITY, TheHouse, answers_with, json_answer, plain, problems, rate_headers
from tollhouse.api.asks import Text, fingerprint, one_key
from tollhouse.api.problems import PROBLEM_JSON, RefusalProblem, encode
from tollhouse.api.sessions import AnyRequest, caller_of
from tollhouse.house import House
from tollhouse.insights.usage import SessionUsage, session_usage
from tollhouse.kernel.errors import InvalidRequest, NotAllowed, NotFound
from tollhouse.ledger.book import plan_of
from tollhouse.ledger.views import Reason

REFUSAL_STATUS = {"rate_limited": 429, "concurrency_exhausted": 429}

_decode = msgspec.json.Decoder(Answer).decode


class ToolAccessRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tool is to be launched. `user_id` only with a secret key."""

    tool: Text
    key: str | None = None
    user_id: Text | None = None


async def customer_meant(house: House, request: AnyRequest, reference: str | None) -> str:
    """The customer named by a server, or the user's own. Raises NotAllowed, InvalidRequest `user_required`, NotFound."""
    caller = await caller_of(house, request)
    if reference is not None:
        customer = await house.directory.find(reference)
        caller.require(customer)
        return customer
    if caller.user is None:
        raise InvalidRequest("user_id is missing", code="user_required", fix="say for whom with user_id")
    if caller.user.customer is None:
        raise NotAllowed(
            "this user has no customer yet", code="not_your_customer", fix="verify the e-mail address first"
        )
    return caller.user.customer


@post(
    "/api/validate-tool-access", status_code=200, tags=["Runbooks"], security=EITHER_SECURITY,
    summary="Launch a tool, or say why not",
    responses=answers_with(Answer)
    | problems(RefusalProblem, _403="Refused, with the reason", _429="`rate_limited`, `concurrency_exhausted`")
    | problems(_404="`tool_not_found`, `customer_not_found`"),
)  # fmt: skip
async def validate_tool_access(
    house: TheHouse,
    request: AnyRequest,
    data: JSONBody[ToolAccessRequest],
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)] = None,
) -> Response[Any]:
    """Decide and debit at once: 200 as admit; 403 with the reason when credits are short; 404 for an unknown tool."""
    customer = await customer_meant(house, request, data.user_id)
    tool = house.catalog.tools.get(data.tool)
    if tool is None:
        raise NotFound(
            f"there is no tool {data.tool!r}",
            code="tool_not_found",
            fix="name one of: " + ", ".join(house.catalog.tools),
        )
    charge = house.admission.prices.charge(tool.action)
    metadata = encode({"tool": tool.name}).decode()
    mark = fingerprint(customer, charge.action, metadata, None)
    outcome = await house.admission.submit(
        "admit", customer, charge, one_key(data.key, idempotency_key), mark, metadata
    )
    headers = rate_headers(outcome.limit)
    if outcome.allowed:
        return Response(outcome.body, media_type="application/json", status_code=200, headers=headers)
    answer = _decode(outcome.body)
    reason = answer.reason
    status = REFUSAL_STATUS.get(outcome.code or "", 403)
    if reason is not None and reason.retry_after is not None:
        headers["retry-after"] = str(reason.retry_after)
    body = {
        "type": f"/docs/errors#{outcome.code}", "title": "Forbidden" if status == 403 else "Too Many Requests",
        "status": status, "detail": f"{tool.title} cannot be launched: {outcome.code}", "code": outcome.code,
        "allowed": False, "id": None, "replayed": False, "reason": reason, "meters": answer.meters,
        **_helpful(reason),
    }  # fmt: skip
    return Response(encode(body), media_type=PROBLEM_JSON, status_code=status, headers=headers)


def _helpful(reason: Reason | None) -> dict[str, object]:
    """The reason's fields once more at the top, where problems carry what helps."""
    given = msgspec.structs.asdict(reason) if reason is not None else {}
    return {name: value for name, value in given.items() if name != "code" and value is not None and value is not False}


@get(
    "/billing/usage", tags=["Runbooks"], security=EITHER_SECURITY, summary="Sessions used of the quota",
    responses=answers_with(SessionUsage) | problems(_403="`not_your_customer`", _404="`customer_not_found`"),
)  # fmt: skip
async def billing_usage(house: TheHouse, request: AnyRequest, user_id: FromQuery[str | None] = None) -> Response[Any]:
    """Sessions used of the quota, minutes and rate limits, exactly in the runbook's shape."""
    if user_id is not None:
        plain(user_id, "user_id")
    customer = await customer_meant(house, request, user_id)
    async with house.store.reading() as tx:
        state = await read_current(tx, house.catalog, customer, house.store.clock.now_ms())
    usage = session_usage(state, plan_of(house.catalog, state), house.catalog)
    if usage is None:
        raise InvalidRequest(
            "the catalogue has no quota meter", code="no_quota_meter", fix="ask GET /v1/customers/{id} for the meters"
        )
    return json_answer(usage)
