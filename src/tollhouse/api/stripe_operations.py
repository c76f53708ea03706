"""`/v1/admin/stripe`: Stripe's events parked, and the roll-back of Stripe, as JSON for staff and their machines."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tollhouse.api.answers import TheHouse, json_answer
from tollhouse.api.sessions import AnyRequest
from tollhouse.api.staff import staff_caller
from tollhouse.billing import pausing, rollback
from tollhouse.billing.maintenance import lasting
from tollhouse.billing.pausing import PauseTold
from tollhouse.billing.rollback import Options, RollbackTold
from tollhouse.house import House

PATH = "/v1/admin/stripe"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class PauseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Text


class RollbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which steps, by the runbook's defaults; `confirm` is the environment's name."""

    confirm: Text
    endpoints: bool = True
    maintenance: bool = True
    backup: bool = True
    tell_users: bool = False
    lasts: Text = msgspec.field(name="for", default="1h")


class UndoRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`confirm` is the environment's name."""

    confirm: Text


class StripeOperations(msgspec.Struct, frozen=True):
    """How it stands. `waiting`: events that are stored and not applied yet; `pause`, `rollback`: those that are open;
    histories have the newest first. `busy`: this instance is working on one of them."""

    pause: PauseTold | None
    pauses: list[PauseTold]
    waiting: int
    rollback: RollbackTold | None
    rollbacks: list[RollbackTold]
    busy: bool


@get(PATH, include_in_schema=False)
async def read_operations(house: TheHouse, request: AnyRequest) -> StripeOperations:
    """How it stands."""
    await staff_caller(house, request)
    return await _state(house)


@post(f"{PATH}/pause", status_code=200, include_in_schema=False)
async def pause_events(house: TheHouse, request: AnyRequest, data: JSONBody[PauseRequest]) -> StripeOperations:
    """Park Stripe's events."""
    await house.operations.pause(by_whom=await staff_caller(house, request), reason=data.reason)
    return await _state(house)


@post(f"{PATH}/resume", include_in_schema=False)
async def resume_events(house: TheHouse, request: AnyRequest) -> Response[StripeOperations]:
    """Apply what was parked, and prove it. 202 while it goes on."""
    return await _answer(house, await house.operations.resume(by_whom=await staff_caller(house, request)))


@post(f"{PATH}/rollback", include_in_schema=False)
async def roll_stripe_back(
    house: TheHouse, request: AnyRequest, data: JSONBody[RollbackRequest]
) -> Response[StripeOperations]:
    """Roll back, or go on with it. 202 while it goes on."""
    who = await staff_caller(house, request)
    options = Options(data.endpoints, data.maintenance, data.backup, data.tell_users, lasting(data.lasts))
    return await _answer(house, await house.operations.roll_back(options, by_whom=who, typed=data.confirm))


@post(f"{PATH}/rollback/undo", include_in_schema=False)
async def undo_rollback(
    house: TheHouse, request: AnyRequest, data: JSONBody[UndoRequest]
) -> Response[StripeOperations]:
    """Undo the roll-back that is open. 202 while it goes on."""
    who = await staff_caller(house, request)
    return await _answer(house, await house.operations.undo(by_whom=who, typed=data.confirm))


async def _answer(house: House, done: bool) -> Response[StripeOperations]:
    house.bells.inbox.set()
    return json_answer(await _state(house), 200 if done else 202)


async def _state(house: House) -> StripeOperations:
    state = await house.operations.state()
    return StripeOperations(
        None if state.pause is None else pausing.describe(state.pause), [pausing.describe(one) for one in state.pauses],
        state.waiting, None if state.rollback is None else rollback.describe(state.rollback),
        [rollback.describe(one) for one in state.rollbacks], state.busy,
    )  # fmt: skip


def stripe_operation_routes() -> list[HTTPRouteHandler]:
    """The handlers, for the application."""
    return [read_operations, pause_events, resume_events, roll_stripe_back, undo_rollback]
