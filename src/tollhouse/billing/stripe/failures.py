"""The SDK's errors, told in our own tree: what happened, and what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp

from tollhouse.kernel.errors import ConfigurationError, Conflict, InvalidRequest, NotFound, TollhouseError, Unavailable

if TYPE_CHECKING:
    import stripe

LONGEST_WAIT_SECONDS = 3_600


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raises NotFound, InvalidRequest, Conflict, ConfigurationError (key) or Unavailable for what Stripe answered."""
    import stripe

    try:
        yield
    except stripe.StripeError as error:
        raise told(error, path) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:  # the SDK reads an answer's body unguarded
        raise Unavailable(
            f"Stripe's answer to {path} broke off: {type(error).__name__}", code="stripe_unavailable",
            fix="try again; if it stays, look at status.stripe.com and STRIPE_API_BASE",
        ) from error  # fmt: skip


def _key_refused(error: "stripe.StripeError", said: str) -> ConfigurationError:
    """A key that was never right, one that is not right any more, and one that may not do this."""
    import stripe

    where = "Dashboard → Developers → API keys"
    if error.error is not None and error.error.code == "api_key_expired":
        return ConfigurationError(
            f"the key has been revoked: {said}",
            code="stripe_key_revoked",
            setting="STRIPE_SECRET_KEY",
            fix=f"set the key that took its place ({where})",
        )
    if isinstance(error, stripe.PermissionError):
        return ConfigurationError(
            f"the restricted key may not do this: {said}",
            code="stripe_key_lacks_permission",
            setting="STRIPE_SECRET_KEY",
            fix=f"give it the permission that Stripe names ({where}), or use the secret key",
        )
    return ConfigurationError(
        f"Stripe does not accept the key: {said}",
        code="stripe_key_refused",
        setting="STRIPE_SECRET_KEY",
        fix=f"copy the secret key of this account and mode again ({where})",
    )


def told(error: "stripe.StripeError", path: str) -> TollhouseError:
    """Our own error for one of the SDK's."""
    import stripe

    said = error.user_message or type(error).__name__
    request = error.request_id
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return _key_refused(error, said)
    if isinstance(error, stripe.RateLimitError):
        return Unavailable(
            "Stripe asks us to slow down", code="stripe_rate_limited", fix="try again in a moment",
            retry_after=_retry_after(error),
        )  # fmt: skip
    if isinstance(error, stripe.IdempotencyError):
        return Conflict(f"Stripe: {said}", code="stripe_idempotency", fix="try again tomorrow, or report this")
    if isinstance(error, stripe.InvalidRequestError) and error.http_status == 404:
        return NotFound(
            f"Stripe: {said}", code="not_in_stripe", fix="check that key and id belong to the same account and mode"
        )
    if isinstance(error, (stripe.InvalidRequestError, stripe.CardError)):
        return InvalidRequest(
            f"Stripe refused {path}: {said}", code=f"stripe_{error.code or 'invalid_request'}", request=request
        )
    return Unavailable(
        f"Stripe did not answer {path}: {' '.join(said.split())}",
        code="stripe_unavailable",
        fix="try again; if it stays, look at status.stripe.com and STRIPE_API_BASE",
        request=request,
    )


def _retry_after(error: "stripe.StripeError") -> int | None:
    """How many seconds Stripe asks us to wait, where it says so."""
    named = {name.lower(): value for name, value in (error.headers or {}).items()}
    text = str(named.get("retry-after", ""))
    return min(int(text), LONGEST_WAIT_SECONDS) if text.isascii() and text.isdigit() and len(text) < 9 else None
