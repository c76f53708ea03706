"""Every error of the client, in one tree. A refusal is no error but an answer; `admission.require()` makes it one.

TollhouseError
├─ NotConfigured            the client was made without an address or a key
├─ Refused                  an admission's refusal, where the caller asked for an exception
├─ ConnectionFailed         no answer came; whether anything was done is not known
│  └─ TimedOut              … within the deadline
├─ UnexpectedAnswer         what answered is not Tollhouse
└─ ApiError                 Tollhouse said no: status, code, detail, fix, fields
   ├─ InvalidRequest        400, 413, 415, 422
   ├─ AuthenticationError   401
   ├─ Forbidden             403
   ├─ NotFound              404
   ├─ Conflict              409
   ├─ LeaseLost             410
   ├─ RateLimited           429
   └─ Unavailable           500 and above
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollhouse_sdk.models import Admission, Reason


class TollhouseError(Exception):
    """What happened and the fix. `key` is the call's idempotency key: with it the same call can be made again safely."""

    def __init__(self, detail: str, *, fix: str | None = None, key: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix
        self.key = key

    def __str__(self) -> str:
        return f"{self.detail}; fix: {self.fix}" if self.fix else self.detail

    @property
    def retryable(self) -> bool:
        """Whether the same call, sent again with the same key, may succeed."""
        return False

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asked to wait, where it did."""
        return None


class NotConfigured(TollhouseError):
    """The client was made without an address or a key, or with an address that is none."""


class Refused(TollhouseError):
    """The action is not allowed now. `reason` says which limit, what is left, when it resets, which plan allows it."""

    def __init__(self, admission: "Admission") -> None:
        self.admission = admission
        self.reason: Reason | None = admission.reason
        super().__init__(_refusal(admission.reason))


class ConnectionFailed(TollhouseError):
    """No answer came. Whether the server has done what was asked is not known; the same key never debits twice."""

    @property
    def retryable(self) -> bool:
        return True


class TimedOut(ConnectionFailed):
    """No answer came in time."""


class UnexpectedAnswer(TollhouseError):
    """Something answered that is not Tollhouse: a proxy's page, a redirect, a body of another shape."""


class ApiError(TollhouseError):
    """Tollhouse could not do what was asked. `code` is stable; `fields` holds what else the answer said."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        fix: str | None = None,
        fields: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(detail, fix=fix, key=key)
        self.status = status
        self.code = code
        self.fields: Mapping[str, object] = dict(fields or {})

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {super().__str__()}"


class InvalidRequest(ApiError):
    """The request has no meaning as it stands, or its key was used before with another request."""


class AuthenticationError(ApiError):
    """The secret key is missing, wrong or revoked."""


class Forbidden(ApiError):
    """The caller may not do this, or the customer's plan does not allow it."""


class NotFound(ApiError):
    """What was named does not exist."""


class Conflict(ApiError):
    """It clashes with what is there: a settled hold, more than is left to give back, an e-mail that is taken."""


class LeaseLost(ApiError):
    """The slot has come back by itself and no other is free, or the session was ended."""


class RateLimited(ApiError):
    """Too many requests at once."""

    @property
    def retryable(self) -> bool:
        return True

    @property
    def retry_after(self) -> float | None:
        return _seconds(self.fields.get("retry_after"))


class Unavailable(ApiError):
    """The server cannot answer now. Only 502, 503 and 504 are worth another try."""

    @property
    def retryable(self) -> bool:
        return self.status in (502, 503, 504)

    @property
    def retry_after(self) -> float | None:
        return _seconds(self.fields.get("retry_after"))


BY_STATUS: Mapping[int, type[ApiError]] = {
    400: InvalidRequest,
    401: AuthenticationError,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: LeaseLost,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
}


def class_of(status: int) -> type[ApiError]:
    """The class of the tree that stands for this HTTP status."""
    return BY_STATUS.get(status, Unavailable if status >= 500 else ApiError)


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value >= 0 else None


def _refusal(reason: "Reason | None") -> str:
    if reason is None:
        return "refused"
    if reason.meter is None or reason.needed is None:
        return reason.code
    left = "" if reason.remaining is None else f", {reason.remaining} left"
    return f"{reason.code}: {reason.needed} of {reason.meter} needed{left}"
