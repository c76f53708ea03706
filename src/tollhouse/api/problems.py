"""Errors as RFC 9457 `application/problem+json`. The HTTP statuses of our errors; pages keep theirs in `pages/visiting.py`."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from tollhouse.admission.leases import LeaseLost
from tollhouse.api.bodies import BodyTooLarge, NotJson
from tollhouse.kernel.errors import (
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Refused,
    TollhouseError,
    TooManyAttempts,
    Unavailable,
)
from tollhouse.ledger.views import Amount, MeterView, Reason, Upgrade

PROBLEM_JSON = "application/problem+json"
DOCS = "/docs/errors#"

STATUS: tuple[tuple[type[TollhouseError], int], ...] = (
    (NotAuthenticated, 401),
    (NotAllowed, 403),
    (Refused, 403),
    (NotFound, 404),
    (LeaseLost, 410),
    (Conflict, 409),
    (BodyTooLarge, 413),
    (NotJson, 400),
    (InvalidRequest, 422),
    (TooManyAttempts, 429),
    (Unavailable, 503),
    (ConfigurationError, 503),
)
RETRY_AFTER_SECONDS = 1

encode = msgspec.json.Encoder(decimal_format="number").encode


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as RFC 9457 describes it. `code` is stable; /docs/errors says what each means and what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    fix: str | None = None
    setting: str | None = None
    meter: str | None = None
    needed: Amount | None = None
    remaining: Amount | None = None
    resets_at: str | None = None
    ends_at: str | None = None
    retry_after: int | None = None
    upgrade: Upgrade | None = None
    url: str | None = None


class RefusalProblem(Problem, frozen=True, omit_defaults=True):
    """A refused action as a problem that carries the whole answer of an admission besides."""

    allowed: bool | None = None
    id: None = None
    replayed: bool | None = None
    reason: Reason | None = None
    meters: dict[str, MeterView] | None = None


def status_of(error: TollhouseError) -> int:
    """The HTTP status of one of our errors; 500 for what nobody may cause from outside."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(status: int, code: str, detail: str, fields: Mapping[str, object] | None = None) -> bytes:
    """The body of a problem. `fields` are what helps: meter, needed, remaining, resets_at, fix…"""
    body: dict[str, object] = {
        "type": f"{DOCS}{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    body.update({name: value for name, value in (fields or {}).items() if value is not None})
    return encode(body)


def internal_error() -> bytes:
    """The body of what nobody foresaw; the log has the rest."""
    return problem(500, "internal_error", "something went wrong here; it has been logged", {"fix": "try again"})


def problem_of(error: TollhouseError) -> tuple[int, bytes, dict[str, str]]:
    """(status, body, further headers) of one of our errors."""
    status = status_of(error)
    headers: dict[str, str] = {}
    retry_after = error.fields.get("retry_after")
    if retry_after is None and status == 503 and isinstance(error, Unavailable):
        retry_after = RETRY_AFTER_SECONDS
    if isinstance(retry_after, int | float):
        headers["retry-after"] = str(max(1, round(retry_after)))
    fields = {name: value for name, value in error.fields.items() if name not in ("shortage", "plan")}
    return status, problem(status, error.code, error.detail, {**fields, "fix": error.fix}), headers
