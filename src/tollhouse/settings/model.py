"""The settings as typed, frozen structs. What each one means stands in `table.py`."""

from typing import Literal

import msgspec

from tollhouse.settings.secret import Secret

LogLevel = Literal["debug", "info", "warning", "error"]
CorsMode = Literal["listed", "public"]
StaffTotp = Literal["optional", "required"]


class WebSettings(msgspec.Struct, frozen=True):
    """How browsers reach the product."""

    cors_mode: CorsMode
    allowed_origins: tuple[str, ...]
    cookie_domain: str | None
    trust_host: bool
    session_secret: Secret | None
    domain: str | None
    staff_totp: StaffTotp


class StripeSettings(msgspec.Struct, frozen=True):
    """How Stripe, or the sandbox in its place, is reached. `prices` holds the `STRIPE_PRICE_…` ids by what follows."""

    secret_key: Secret | None
    account: str | None
    publishable_key: str | None
    webhook_secrets: tuple[Secret, ...]
    webhook_paths: tuple[str, ...]
    api_version: str | None
    api_base: str | None
    rate_limit_max: int
    rate_limit_window_ms: int
    alert_email: str | None
    monitoring_enabled: bool
    prices: dict[str, str]


class MonitoringSettings(msgspec.Struct, frozen=True):
    """When payments count as degraded and critical (percent in a window), and how alerts are told."""

    window_ms: int
    degraded_payments: int
    critical_payments: int
    degraded_webhooks: int
    critical_webhooks: int
    remind_after_ms: int
    webhook_url: str | None
    webhook_secret: Secret | None


class MailSettings(msgspec.Struct, frozen=True):
    """How e-mail leaves."""

    smtp_url: Secret | None
    mail_from: str | None


class ServerSettings(msgspec.Struct, frozen=True):
    """How `tollhouse serve` runs."""

    host: str
    port: int
    workers: int
    graceful_seconds: int


class AdmissionSettings(msgspec.Struct, frozen=True):
    """How decisions are batched and cached."""

    lanes: int | None
    cached_customers: int


class HookSettings(msgspec.Struct, frozen=True):
    """How webhooks leave."""

    allow_private: bool


class Settings(msgspec.Struct, frozen=True):
    """Everything that an installation is told. Secrets are wrapped: `settings.database_url.reveal()`."""

    environment: str
    url: str
    database_url: Secret
    log_level: LogLevel
    demo: bool
    test_clock: bool
    admin_api_key: Secret | None
    web: WebSettings
    stripe: StripeSettings
    monitoring: MonitoringSettings
    mail: MailSettings
    server: ServerSettings
    admission: AdmissionSettings
    hooks: HookSettings

    @property
    def production(self) -> bool:
        """Whether the strict rules of production hold here."""
        return is_production(self.environment)

    @property
    def live_keys(self) -> bool:
        """Whether Stripe's live keys belong here, else its test keys."""
        return self.production or self.environment == REHEARSAL


def is_production(environment: str) -> bool:
    """`production` and every name that begins with `production-`, such as `production-eu`."""
    return environment == "production" or environment.startswith("production-")


REHEARSAL = "rehearsal"
"""Going live is tried on one's own machine: live keys, and the sandbox in Stripe's place."""

LOCAL_ENVIRONMENTS = frozenset({"development", "demo", "test", REHEARSAL})
"""Environments on one's own machine: an address and a database are given by default, mail and Stripe may be missing."""
