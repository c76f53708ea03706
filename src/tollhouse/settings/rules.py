"""What must not stand together: the rules of each environment (G6, G10, U12) and the sense of combined settings."""

import ipaddress
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import msgspec

from tollhouse.settings.model import REHEARSAL, Settings
from tollhouse.settings.secret import Secret


class Breach(msgspec.Struct, frozen=True):
    """A rule that a setting breaks; `path` is the setting's place in Settings."""

    path: str
    found: str
    allowed: str
    fix: str


def breaches(settings: Settings) -> Iterator[Breach]:
    """Every rule that the settings break, in no order."""
    for rule in _RULES:
        yield from rule(settings)


def is_local(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    name = host.lower().strip("[]").rstrip(".")
    if name == "localhost" or name.endswith((".localhost", ".local")):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def lies_under(host: str, domain: str) -> bool:
    """Whether `host` is `domain` or a subdomain of it."""
    domain = domain.lower().lstrip(".")
    return host.lower() == domain or host.lower().endswith("." + domain)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _monitoring(settings: Settings) -> Iterator[Breach]:
    found = settings.monitoring
    for name in ("payments", "webhooks"):
        degraded, critical = getattr(found, f"degraded_{name}"), getattr(found, f"critical_{name}")
        if critical < degraded:
            at_least = f"at least STRIPE_DEGRADED_{name.upper()} ({degraded})"
            yield Breach(f"monitoring.critical_{name}", str(critical), at_least, f"write {degraded} or more")
    if found.webhook_url is not None and settings.production and not found.webhook_url.startswith("https://"):
        yield Breach("monitoring.webhook_url", "an http address", "an https address in production", "write https://…")
    if found.webhook_url is not None and found.webhook_secret is None:
        fix = "set ALERT_WEBHOOK_SECRET; make one with `echo whsec_$(openssl rand -base64 32)`"
        yield Breach("monitoring.webhook_url", "an address without ALERT_WEBHOOK_SECRET", "both or none", fix)


def _addresses(settings: Settings) -> Iterator[Breach]:
    if not settings.production:
        return
    if settings.url.startswith("http://"):
        yield Breach(
            "url", f'"{settings.url}"', "an https address in production", "serve it by https and write https://…"
        )
    if is_local(_host(settings.url)):
        yield Breach(
            "url", f'"{settings.url}"', "a public address in production", "write the address that customers use"
        )
    for origin in settings.web.allowed_origins:
        if origin != "*" and is_local(_host(origin)):
            fix = "take it out of the origins of production; keep it in those of staging or development"
            yield Breach("web.allowed_origins", f'"{origin}"', "no local origin in production", fix)
        elif origin.startswith("http://"):
            yield Breach(
                "web.allowed_origins", f'"{origin}"', "https origins in production", f"write https{origin[4:]}"
            )


def _cors(settings: Settings) -> Iterator[Breach]:
    allowed = "the origins of your own pages, by name"
    if settings.production and settings.web.cors_mode == "public":
        fix = "set CORS_MODE=listed and name the origins in ALLOWED_ORIGINS"
        yield Breach("web.cors_mode", '"public"', '"listed" in production', fix)
    if "*" in settings.web.allowed_origins and settings.production:
        yield Breach("web.allowed_origins", '"*"', allowed, "name each origin that may call the API")
    elif "*" in settings.web.allowed_origins and settings.web.cors_mode == "listed":
        yield Breach("web.allowed_origins", '"*"', allowed, "name each origin, or set CORS_MODE=public")


def _domains(settings: Settings) -> Iterator[Breach]:
    host, cookie, domain = _host(settings.url), settings.web.cookie_domain, settings.web.domain
    if cookie and not lies_under(host, cookie):
        fix = f"set AUTH_COOKIE_DOMAIN to {host} or a domain above it, or leave it empty"
        yield Breach("web.cookie_domain", f'"{cookie}"', f"{host} (the host of the address) or a domain above it", fix)
    elif cookie and "." not in cookie.strip("."):
        fix = f"set AUTH_COOKIE_DOMAIN to {host}, or leave it empty"
        yield Breach(
            "web.cookie_domain", f'"{cookie}"', "a domain with a dot; browsers ignore cookies for a whole suffix", fix
        )
    if not domain:
        return
    if not lies_under(host, domain):
        yield Breach(
            "url", f'"{settings.url}"', f"an address under {domain}", "correct the address or TOLLHOUSE_DOMAIN"
        )
    for origin in settings.web.allowed_origins:
        if origin != "*" and not is_local(_host(origin)) and not lies_under(_host(origin), domain):
            fix = "correct the origin or TOLLHOUSE_DOMAIN"
            yield Breach("web.allowed_origins", f'"{origin}"', f"origins under {domain}", fix)


def _make_believe(settings: Settings) -> Iterator[Breach]:
    if not settings.production:
        return
    if settings.demo:
        yield Breach("demo", "true", "no demo mode in production", "unset DEMO and restart")
    if settings.test_clock:
        yield Breach("test_clock", "true", "the real clock in production", "unset TEST_CLOCK and restart")
    if settings.stripe.api_base:
        fix = "unset STRIPE_API_BASE, so that Stripe itself is used"
        yield Breach("stripe.api_base", f'"{settings.stripe.api_base}"', "no sandbox in production", fix)


def _stripe_mode(settings: Settings) -> Iterator[Breach]:
    keys = {
        "stripe.secret_key": _revealed(settings.stripe.secret_key),
        "stripe.publishable_key": settings.stripe.publishable_key or "",
    }
    names = {"stripe.secret_key": "STRIPE_SECRET_KEY", "stripe.publishable_key": "STRIPE_PUBLISHABLE_KEY"}
    for path, key in keys.items():
        mode = "test" if "_test_" in key[:8] else "live" if "_live_" in key[:8] else None
        if settings.live_keys and mode == "test":
            fix = f"set {names[path]} to the live key, or ENVIRONMENT to where this runs"
            yield Breach(path, "a test key", f"a live key in {settings.environment}", fix)
        if not settings.live_keys and mode == "live":
            fix = f"set {names[path]} to the test key; live keys belong to ENVIRONMENT=production alone"
            yield Breach(path, "a live key", f"a test key in {settings.environment}", fix)


def _rehearsal(settings: Settings) -> Iterator[Breach]:
    """A live key that is only tried must not be able to reach Stripe itself."""
    if settings.environment != REHEARSAL:
        return
    base = settings.stripe.api_base
    if base is None or not is_local(_host(base)):
        fix = "start `tollhouse-sandbox serve --mode live` and set STRIPE_API_BASE to its address"
        allowed = "a sandbox on this machine in rehearsal"
        yield Breach("stripe.api_base", "nothing" if base is None else f'"{base}"', allowed, fix)


def _revealed(secret: Secret | None) -> str:
    return secret.reveal() if secret is not None else ""


def _workers(settings: Settings) -> Iterator[Breach]:
    if settings.server.workers > 1 and settings.database_url.reveal().startswith("sqlite:"):
        fix = "set TOLLHOUSE_WORKERS=1, or DATABASE_URL to a PostgreSQL database"
        yield Breach("server.workers", str(settings.server.workers), "1 with SQLite, which one process writes", fix)


def _secrets_apart(settings: Settings) -> Iterator[Breach]:
    if settings.admin_api_key is not None and settings.admin_api_key == settings.web.session_secret:
        allowed = "two values of their own"
        yield Breach("admin_api_key", "the same value as SESSION_SECRET", allowed, "make another one for ADMIN_API_KEY")


_RULES: tuple[Callable[[Settings], Iterator[Breach]], ...] = (
    _monitoring,
    _addresses,
    _cors,
    _domains,
    _make_believe,
    _stripe_mode,
    _rehearsal,
    _workers,
    _secrets_apart,
)
