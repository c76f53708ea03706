"""Whether an incoming webhook was signed with one of our secrets, recently; and if not, exactly why (row A9)."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Literal

from tollhouse.kernel.errors import NotAllowed

if TYPE_CHECKING:
    from stripe import SignatureVerificationError, WebhookSignature

TOLERANCE_SECONDS = 300

Reason = Literal["no_secret", "no_signature", "malformed", "wrong_secret", "too_old"]

FIXES: dict[Reason, str] = {
    "no_secret": "set STRIPE_WEBHOOK_SECRET to the signing secret of this endpoint (Dashboard → Developers → Webhooks)",
    "no_signature": "only Stripe calls this address; for a try use `tollhouse stripe trigger`",
    "malformed": "only Stripe calls this address; for a try use `tollhouse stripe trigger`",
    "wrong_secret": "STRIPE_WEBHOOK_SECRET is the secret of another endpoint or mode: copy this endpoint's own again",
    "too_old": "check the clock of the database's host; if it is right, somebody sends an old event again",
}


class BadSignature(NotAllowed):
    """The webhook is not from Stripe as far as we can tell; `reason` says why, for the log only."""

    default_code = "bad_signature"

    def __init__(self, reason: Reason) -> None:
        super().__init__("the Stripe-Signature header does not prove that Stripe sent this", reason=reason)
        self.reason: Reason = reason


def verify(payload: bytes, header: str | None, secrets: Iterable[str], now_ms: int) -> None:
    """Raises BadSignature unless one of the secrets signed this payload in the last 300 s (docs.stripe.com/webhooks)."""
    known = [secret for secret in secrets if secret.strip()]
    if not known:
        raise BadSignature("no_secret")
    if not header:
        raise BadSignature("no_signature")
    signed_at = _signed_at(header)
    if signed_at is None or not _is_text(payload):
        raise BadSignature("malformed")
    if not any(_matches(payload, header, secret) for secret in known):
        raise BadSignature("wrong_secret")
    if signed_at * 1000 < now_ms - TOLERANCE_SECONDS * 1000:
        raise BadSignature("too_old")


def _signed_at(header: str) -> int | None:
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) < 16:
            return int(value)
    return None


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _matches(payload: bytes, header: str, secret: str) -> bool:
    signature, refused = _sdk()
    try:
        signature.verify_header(payload, header, secret)
    except refused:
        return False
    return True


@cache
def _sdk() -> "tuple[type[WebhookSignature], type[SignatureVerificationError]]":
    """The SDK's own check, loaded once it is needed: `serve` starts without it."""
    from stripe import SignatureVerificationError, WebhookSignature

    return WebhookSignature, SignatureVerificationError


def sign(payload: str, secret: str, at_seconds: int) -> str:
    """The header that Stripe would send with this payload; for tests and for firing events at ourselves."""
    header: str = _sdk()[0].generate_signature_header(payload, secret, timestamp=at_seconds)
    return header
