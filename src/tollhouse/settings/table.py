"""Every setting of Tollhouse in one table: its variable, type, default, allowed values and meaning.

`load.py` reads by this table and docs/reference/settings.md is made from it, so neither can know another setting.
"""

# reason for length: one table, read from top to bottom

from typing import Literal

import msgspec

Kind = Literal[
    "text",
    "url",
    "origins",
    "integer",
    "boolean",
    "choice",
    "duration",
    "email",
    "paths",
    "secrets",
    "database",
    "smtp",
    "endpoint",
]
Need = Literal["never", "deployed", "always", "payments"]


class Setting(msgspec.Struct, frozen=True):
    """One setting. Its key in tollhouse.toml is the variable in lower case, without `TOLLHOUSE_`."""

    path: str  # where it stands in the Settings struct
    variable: str
    kind: Kind
    allowed: str
    meaning: str
    component: str
    default: str | int | bool | None = None
    default_local: str | None = None  # the default in LOCAL_ENVIRONMENTS
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 2**31
    secret: bool = False
    generate: str = ""  # a secret of our own making: the command that makes one
    signing: bool = False  # signs HTTP traffic, so it has 32 bytes or more (A10)
    need: Need = "never"

    @property
    def key(self) -> str:
        """Its key in a table of tollhouse.toml."""
        return self.variable.lower().removeprefix("tollhouse_")


_GENERATE = "openssl rand -base64 48"

ENVIRONMENT_SETTING = Setting(
    "environment",
    "ENVIRONMENT",
    "text",
    "development, demo, test, rehearsal, staging, production, or an [environments.NAME] of the file",
    component="server",
    default="development",
    meaning="Which environment this is. It selects the table [environments.NAME] of tollhouse.toml, and how strict "
    "the rules are: `production`, and every name beginning with `production-`, is production. Never set in the file.",
)

_MONITORING: tuple[Setting, ...] = (
    Setting(
        "monitoring.window_ms", "STRIPE_HEALTH_WINDOW", "duration", 'a duration such as "1h"', component="alerts", default="1h",
        meaning="The length of the sliding window over which /health/payments takes its rates; what is older has aged out.",
    ),
    Setting(
        "monitoring.degraded_payments", "STRIPE_DEGRADED_PAYMENTS", "integer", "a whole number from 1 to 100", component="alerts", default=10, least=1,
        most=100, meaning="Above this percentage of failed payments the health is degraded. A declined card is no failure.",
    ),
    Setting(
        "monitoring.critical_payments", "STRIPE_CRITICAL_PAYMENTS", "integer", "a whole number from 1 to 100", component="alerts", default=25, least=1,
        most=100, meaning="Above this percentage of failed payments it is critical: /health/payments answers 503.",
    ),
    Setting(
        "monitoring.degraded_webhooks", "STRIPE_DEGRADED_WEBHOOKS", "integer", "a whole number from 1 to 100", component="alerts", default=5, least=1,
        most=100, meaning="Above this percentage of failed webhooks the health is degraded.",
    ),
    Setting(
        "monitoring.critical_webhooks", "STRIPE_CRITICAL_WEBHOOKS", "integer", "a whole number from 1 to 100", component="alerts", default=15, least=1,
        most=100, meaning="Above this percentage of failed webhooks it is critical: /health/payments answers 503.",
    ),
    Setting(
        "monitoring.remind_after_ms", "ALERT_REMIND_AFTER", "duration", 'a duration such as "6h"', component="alerts", default="6h",
        meaning="After so long an alert that has not ended is told once more, and then not again.",
    ),
    Setting(
        "monitoring.webhook_url", "ALERT_WEBHOOK_URL", "endpoint", "an address such as https://ops.example.com/tollhouse",
        component="alerts", meaning="Alerts are also sent there, signed by the Standard Webhooks convention. https in production.",
    ),
    Setting(
        "monitoring.webhook_secret", "ALERT_WEBHOOK_SECRET", "text", "whsec_ and 24 to 64 bytes in base 64", component="alerts",
        secret=True, generate="echo whsec_$(openssl rand -base64 32)",
        meaning="Signs what goes to ALERT_WEBHOOK_URL; give the receiver the same one.",
    ),
)  # fmt: skip

SETTINGS: tuple[Setting, ...] = (
    ENVIRONMENT_SETTING,
    Setting(
        "url",
        "TOLLHOUSE_URL",
        "url",
        "an address such as https://app.example.com, without a path",
        component="server",
        meaning="The public address of this environment; links in e-mails and Stripe's return addresses begin with it. "
        "https in production, and never localhost there.",
        default_local="http://127.0.0.1:8787",
        need="deployed",
    ),
    Setting(
        "database_url",
        "DATABASE_URL",
        "database",
        "sqlite:///path or postgresql://user:password@host:port/name",
        component="server",
        default_local="sqlite:///tollhouse.db",
        need="deployed",
        meaning="The one database. A password in it makes it a secret: then it comes from the environment only.",
    ),
    Setting(
        "log_level",
        "LOG_LEVEL",
        "choice",
        '"debug", "info", "warning" or "error"',
        component="server",
        default="info",
        choices=("debug", "info", "warning", "error"),
        meaning="The least serious line that is logged.",
    ),
    Setting(
        "demo",
        "DEMO",
        "boolean",
        "true or false",
        component="server",
        default=False,
        meaning="Shows the demo's hints and made-up history. Refused in production.",
    ),
    Setting(
        "test_clock",
        "TEST_CLOCK",
        "boolean",
        "true or false",
        component="server",
        default=False,
        meaning="Lets the clock be moved forward, together with the sandbox's. Refused in production.",
    ),
    Setting(
        "admin_api_key",
        "ADMIN_API_KEY",
        "text",
        "32 characters or more",
        component="server",
        secret=True,
        signing=True,
        generate=_GENERATE,
        meaning="Opens the staff API to this environment's own machines; every call with it is audited.",
    ),
    Setting(
        "web.session_secret",
        "SESSION_SECRET",
        "text",
        "32 bytes or more, made at random",
        component="web",
        secret=True,
        signing=True,
        generate=_GENERATE,
        need="always",
        meaning="Signs sessions, forms and the links in e-mails. Another value signs everybody out, and makes "
        "the second factors of staff worthless (`tollhouse staff totp reset`).",
    ),
    Setting(
        "web.staff_totp",
        "STAFF_TOTP",
        "choice",
        '"optional" or "required"',
        component="web",
        default="optional",
        choices=("optional", "required"),
        meaning="Whether staff have to sign in with a one-time code beside the password before any staff page opens; "
        "whoever has set it up is asked for it in any case.",
    ),
    Setting(
        "web.cors_mode",
        "CORS_MODE",
        "choice",
        '"listed" or "public"',
        component="web",
        default="listed",
        choices=("listed", "public"),
        meaning="Which pages of other origins may call the API: those of ALLOWED_ORIGINS, or any. `public` is refused "
        "in production.",
    ),
    Setting(
        "web.allowed_origins",
        "ALLOWED_ORIGINS",
        "origins",
        "origins such as https://app.example.com, separated by commas",
        component="web",
        meaning="The origins that may call the API from a browser, besides the environment's own.",
    ),
    Setting(
        "web.domain",
        "TOLLHOUSE_DOMAIN",
        "text",
        "a domain such as example.com",
        component="web",
        meaning="When set, the address and every allowed origin have to lie under this domain.",
    ),
    Setting(
        "web.cookie_domain",
        "AUTH_COOKIE_DOMAIN",
        "text",
        "the host of the address, or a domain above it",
        component="web",
        meaning="The domain that session cookies are valid for; empty for the address's own host alone.",
    ),
    Setting(
        "web.trust_host",
        "AUTH_TRUST_HOST",
        "boolean",
        "true or false",
        component="web",
        default=False,
        meaning="Whether a proxy in front is trusted to say the client's address and protocol (X-Forwarded-…).",
    ),
    Setting(
        "stripe.secret_key",
        "STRIPE_SECRET_KEY",
        "text",
        "sk_test_… (sk_live_… in production and rehearsal, and only there)",
        component="stripe",
        secret=True,
        need="payments",
        meaning="Stripe's secret or restricted key. Dashboard → Developers → API keys.",
    ),
    Setting(
        "stripe.account",
        "STRIPE_ACCOUNT",
        "text",
        "an account's id such as acct_1Sabc",
        component="stripe",
        meaning="The Stripe account that the key has to belong to. `stripe setup` and `stripe validate` refuse another one.",
    ),
    Setting(
        "stripe.publishable_key",
        "STRIPE_PUBLISHABLE_KEY",
        "text",
        "pk_test_… (pk_live_… in production)",
        component="stripe",
        meaning="Stripe's public key, of the same mode as the secret one.",
    ),
    Setting(
        "stripe.webhook_secrets",
        "STRIPE_WEBHOOK_SECRET",
        "secrets",
        "whsec_…, several separated by commas",
        component="stripe",
        secret=True,
        need="payments",
        meaning="Verifies webhooks. While a secret is being changed, the old and the new one, separated by a comma.",
    ),
    Setting(
        "stripe.webhook_paths",
        "STRIPE_WEBHOOK_PATHS",
        "paths",
        "paths such as /api/stripe-webhook, separated by commas",
        component="stripe",
        meaning="Further paths that receive Stripe's webhooks, besides /webhooks/stripe.",
    ),
    Setting(
        "stripe.api_version",
        "STRIPE_API_VERSION",
        "text",
        "a version such as 2026-10-28.endive",
        component="stripe",
        meaning="The version of Stripe's API to speak. By default the one that this release was tested with.",
    ),
    Setting(
        "stripe.api_base",
        "STRIPE_API_BASE",
        "url",
        "an address such as http://127.0.0.1:8788",
        component="stripe",
        meaning="The sandbox in Stripe's place. Refused in production.",
    ),
    Setting(
        "stripe.rate_limit_max",
        "STRIPE_RATE_LIMIT_MAX",
        "integer",
        "a whole number from 1 to 10000",
        component="stripe",
        default=5,
        least=1,
        most=10_000,
        meaning="Payment attempts per user and per address in one window.",
    ),
    Setting(
        "stripe.rate_limit_window_ms",
        "STRIPE_RATE_LIMIT_WINDOW",
        "duration",
        'a duration such as "15m"; a bare number is ms',
        component="stripe",
        default="15m",
        meaning="The length of that window.",
    ),
    Setting(
        "stripe.alert_email",
        "STRIPE_ALERT_EMAIL",
        "email",
        "an e-mail address",
        component="stripe",
        meaning="Who is told when payments or webhooks fail.",
    ),
    Setting(
        "stripe.monitoring_enabled",
        "STRIPE_MONITORING_ENABLED",
        "boolean",
        "true or false",
        component="stripe",
        default=True,
        meaning="Whether payments and webhooks are watched: /health/payments answers, and alerts go out.",
    ),
    *_MONITORING,
    Setting(
        "mail.smtp_url",
        "SMTP_URL",
        "smtp",
        "smtp://user:password@host:port or smtps://…",
        component="mail",
        need="deployed",
        meaning="The mail server. smtp:// uses STARTTLS where the server offers it, smtps:// TLS from the start. A "
        "password in it makes it a secret: then it comes from the environment only.",
    ),
    Setting(
        "mail.mail_from",
        "MAIL_FROM",
        "email",
        "an e-mail address, with a name where wanted: AURION <hello@example.com>",
        component="mail",
        need="deployed",
        meaning="The sender of every e-mail.",
    ),
    Setting(
        "server.host",
        "TOLLHOUSE_HOST",
        "text",
        "an address of this machine",
        component="server",
        default="127.0.0.1",
        meaning="The network address that `serve` listens on; 0.0.0.0 for all.",
    ),
    Setting(
        "server.port",
        "PORT",
        "integer",
        "a whole number from 0 to 65535",
        component="server",
        default=8787,
        most=65_535,
        meaning="The port that `serve` listens on; 0 takes a free one.",
    ),
    Setting(
        "server.workers",
        "TOLLHOUSE_WORKERS",
        "integer",
        "a whole number from 1 to 64",
        component="server",
        default=1,
        least=1,
        most=64,
        meaning="How many processes serve. More than one needs PostgreSQL.",
    ),
    Setting(
        "server.graceful_seconds",
        "TOLLHOUSE_GRACEFUL_SECONDS",
        "integer",
        "a whole number of seconds from 0 to 600",
        component="server",
        default=20,
        most=600,
        meaning="How long running requests may take to end after SIGTERM.",
    ),
    Setting(
        "hooks.allow_private",
        "HOOKS_ALLOW_PRIVATE",
        "boolean",
        "true or false",
        component="hooks",
        default=False,
        meaning="Whether webhooks out may go to private addresses, such as another machine of the same network. In "
        "development, demo, test and rehearsal they always may.",
    ),
    Setting(
        "admission.lanes",
        "TOLLHOUSE_LANES",
        "integer",
        "a whole number from 1 to 64",
        component="admission",
        least=1,
        most=64,
        meaning="How many batches a process has under way: while one is saved the next is decided. Without it 2, or 1 where several processes serve.",
    ),
    Setting(
        "admission.cached_customers",
        "TOLLHOUSE_CACHED_CUSTOMERS",
        "integer",
        "a whole number from 0 to 1000000",
        component="admission",
        default=20_000,
        most=1_000_000,
        meaning="How many customers' states one process keeps in memory; about 2 kB each.",
    ),
)
