"""Every error of Tollhouse, in one tree. No HTTP here: `api/problems.py` and `pages/visiting.py` map them to statuses.

TollhouseError
├─ ConfigurationError     the installation is set up wrongly; carries the setting and the fix
├─ InvalidRequest         what was asked has no meaning as it stands
│  └─ KeyReused           an idempotency key came back with another request
├─ NotFound               what was named does not exist
├─ NotAllowed             the caller may not do this
│  └─ NotAuthenticated    the caller is not known
├─ Conflict               it clashes with what is there
├─ Refused                an admission's refusal, where a caller asked for an exception
├─ TooManyAttempts        a throttle; carries retry_after_seconds
├─ Unavailable            try again: the store or another system does not answer
└─ InvariantBroken        a money invariant would break; nothing was written
"""

from collections.abc import Mapping


class TollhouseError(Exception):
    """An error that a reader can act on: a stable `code`, what happened, the fix, and fields that help."""

    default_code = "error"

    def __init__(self, detail: str, *, code: str | None = None, fix: str | None = None, **fields: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.fix = fix
        self.fields: Mapping[str, object] = fields

    def __str__(self) -> str:
        return f"{self.detail.rstrip('.')}; fix: {self.fix}" if self.fix else self.detail


class ConfigurationError(TollhouseError):
    """A setting is missing or wrong."""

    default_code = "configuration_error"


class InvalidRequest(TollhouseError):
    """The request cannot be understood or its values are out of range."""

    default_code = "invalid_request"


class KeyReused(InvalidRequest):
    """The idempotency key was used before with another request."""

    default_code = "idempotency_key_reused"


class NotFound(TollhouseError):
    """What was named does not exist."""

    default_code = "not_found"


class NotAllowed(TollhouseError):
    """The caller may not do this."""

    default_code = "not_allowed"


class NotAuthenticated(NotAllowed):
    """The caller did not prove who it is."""

    default_code = "not_authenticated"


class Conflict(TollhouseError):
    """The request clashes with the present state."""

    default_code = "conflict"


class Refused(TollhouseError):
    """An action was refused; `fields` carries the reason as in API.md."""

    default_code = "refused"


class TooManyAttempts(TollhouseError):
    """A throttle stopped the request; `fields["retry_after"]` is in seconds."""

    default_code = "too_many_attempts"


class Unavailable(TollhouseError):
    """Nothing was decided; the same request may be sent again with the same key."""

    default_code = "unavailable"


class InvariantBroken(TollhouseError):
    """A rule of the books would have been broken; nothing was written."""

    default_code = "invariant_broken"
