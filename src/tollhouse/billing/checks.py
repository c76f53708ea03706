"""What doctor and the health page ask billing: does Stripe reach us, and does our secret fit (row A9).

The log is this process's own; it forgets at a restart, and a good webhook after a bad one ends the trouble.
"""

from typing import Literal

import msgspec

from tollhouse.billing.stripe import FIXES, BadSignature
from tollhouse.kernel.clock import MINUTE
from tollhouse.settings import Settings

MOST_NOTED_A_MINUTE = 30


class BillingCheck(msgspec.Struct, frozen=True):
    """One line for the health page: what was looked at, how it stands, and the fix."""

    name: str
    status: Literal["ok", "warning", "failed"]
    message: str
    setting: str | None = None
    fix: str | None = None


class WebhookLog:
    """The last webhook that was verified, and the last that was not. Times in ms."""

    def __init__(self) -> None:
        self.accepted_at: int | None = None
        self.rejected_at: int | None = None
        self.reason: str | None = None
        self.fix: str | None = None
        self._minute, self._noted = 0, 0

    def may_note(self, now: int) -> bool:
        """Whether one more refused webhook may be written down: 30 a minute, whoever sends them."""
        minute = now // MINUTE
        self._minute, self._noted = minute, self._noted + 1 if minute == self._minute else 1
        return self._noted <= MOST_NOTED_A_MINUTE

    def accepted(self, now: int) -> None:
        """A webhook was signed rightly."""
        self.accepted_at = now

    def rejected(self, error: BadSignature, now: int) -> None:
        """A webhook was refused; only what a sender with a real signature sends says something about our secret."""
        if error.reason in ("no_signature", "malformed"):
            return
        self.rejected_at, self.reason, self.fix = now, error.reason, FIXES[error.reason]


_MEANINGS = {
    "no_secret": "webhooks come in, and STRIPE_WEBHOOK_SECRET is missing",
    "wrong_secret": "webhooks come in, and STRIPE_WEBHOOK_SECRET did not sign them",
    "too_old": "webhooks come in signed more than 300 s ago",
}


def checks(settings: Settings, webhooks: WebhookLog) -> list[BillingCheck]:
    """Key, secret and the last webhook, each told apart from the others."""
    return [_key(settings), _secret(settings), _last_webhook(webhooks)]


def _key(settings: Settings) -> BillingCheck:
    if settings.stripe.secret_key is None:
        fix = "set STRIPE_SECRET_KEY (Dashboard → Developers → API keys)"
        return BillingCheck("stripe_key", "warning", "payments are not set up", "STRIPE_SECRET_KEY", fix)
    return BillingCheck("stripe_key", "ok", "a secret key is set")


def _secret(settings: Settings) -> BillingCheck:
    if settings.stripe.secret_key is not None and not settings.stripe.webhook_secrets:
        message = "no signing secret is set: every webhook is refused"
        return BillingCheck("webhook_secret", "failed", message, "STRIPE_WEBHOOK_SECRET", FIXES["no_secret"])
    return BillingCheck("webhook_secret", "ok", f"{len(settings.stripe.webhook_secrets)} signing secret(s) set")


def _last_webhook(webhooks: WebhookLog) -> BillingCheck:
    if webhooks.rejected_at is not None and webhooks.rejected_at > (webhooks.accepted_at or 0):
        message = _MEANINGS[webhooks.reason or "wrong_secret"]
        setting = None if webhooks.reason == "too_old" else "STRIPE_WEBHOOK_SECRET"
        return BillingCheck("webhook_signature", "failed", message, setting, webhooks.fix)
    seen = "none since the start" if webhooks.accepted_at is None else "the last one was verified"
    return BillingCheck("webhook_signature", "ok", f"webhooks: {seen}")
