"""The headers that guard every page: a strict content policy with a nonce, and what browsers are told besides.

Nothing is loaded from another host, but for a tool's frame and the payment page that a form is sent on to.
"""

import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

STRIPE_PAGES = ("https://checkout.stripe.com", "https://billing.stripe.com")


def new_nonce() -> str:
    """A fresh nonce of 128 bits."""
    return secrets.token_urlsafe(16)


def origin_of(url: str) -> str | None:
    """`https://host:port` of an absolute address; None for a path of our own."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else None


def payment_origins(api_base: str | None) -> tuple[str, ...]:
    """Where forms that lead to a payment may end: browsers hold `form-action` against redirects too."""
    sandbox = origin_of(api_base) if api_base else None
    return (sandbox,) if sandbox else STRIPE_PAGES


def content_policy(nonce: str, *, forms: Iterable[str] = (), frames: Iterable[str] = (), framed: bool = False) -> str:
    """The Content-Security-Policy. `framed` is for the page that stands inside our own frame."""
    rules = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}'",
        "style-src": f"'nonce-{nonce}'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": " ".join(["'self'", *forms]),
        "frame-src": " ".join(frames) or "'none'",
        "frame-ancestors": "'self'" if framed else "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def headers(policy: str, *, https: bool, framed: bool = False) -> dict[str, str]:
    """Every header that a page is sent with. Pages show a customer's data, so nothing keeps them."""
    answer = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN" if framed else "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    if https:
        answer["Strict-Transport-Security"] = "max-age=31536000"
    return answer
