"""Everything that can be set when a sandbox starts."""

from typing import Literal

import msgspec

# The version that the official SDK 16.1 pins; objects are given in its shapes.
API_VERSION = "2026-10-28.endive"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Start-up settings; the defaults suit a demo on this machine."""

    host: str = "127.0.0.1"
    port: int = 8788
    """0 takes any free port."""
    public_url: str | None = None
    """How a browser reaches the sandbox, when that differs from host and port."""
    data_file: str | None = None
    """SQLite file in which everything is kept; None keeps it in memory."""
    smtp_port: int | None = 0
    """0 takes any free port; None starts no mail server."""
    mode: Literal["test", "live"] = "test"
    """Whose keys are accepted where `secret_keys` names none: every test key, or every live one."""
    secret_keys: tuple[str, ...] = ()
    """Accepted API keys, of either mode. Empty: every key of `mode`, and none of the other."""
    account_id: str = "acct_1SandboxTollhouse"
    account_name: str = "Sandbox"
    country: str = "US"
    currency: str = "usd"
    signature_clock: Literal["sandbox", "real"] = "sandbox"
    """The time in `Stripe-Signature`. The sandbox clock is never behind, so verifiers accept it."""
    delivery_timeout_seconds: float = 10.0
    delivery_concurrency: int = 1
    """Deliveries under way at once per endpoint; 1 keeps them in order."""
    delivery_pauses_seconds: tuple[float, ...] = (1, 2, 5, 10, 30, 60, 300, 900, 3600)
    """Pauses before each further attempt, in real time; afterwards the delivery has failed."""
    payment_methods: tuple[str, ...] = ("card", "sepa_debit")
    """What is switched on in the dashboard: Checkout offers these of itself where the currency allows them."""
    debit_days: int = 5
    """How long a bank takes to answer a debit, where the account is not one of those that take minutes."""
    payment_retry_days: tuple[int, ...] = (3, 5, 7)
    """Pauses before a failed renewal is tried again."""
    after_last_retry: Literal["cancel", "unpaid", "past_due"] = "cancel"
    finalize_after_seconds: int = 0
    """How long a renewal's invoice stays a draft; Stripe waits about an hour."""
