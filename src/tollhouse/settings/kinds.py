"""Turns what a file or the environment holds into the value of a setting, or says why it cannot."""

import re
from base64 import b64decode
from collections.abc import Callable
from email.utils import parseaddr
from urllib.parse import SplitResult, urlsplit

from tollhouse.kernel.durations import parse_duration
from tollhouse.settings.problems import did_you_mean, shown
from tollhouse.settings.secret import Secret
from tollhouse.settings.table import Kind, Setting

SIGNING_BYTES = 32
"""HTTP signing secrets are at least as long as the hash they key (RFC 7518, 3.2; row A10)."""
_ORIGIN_FORM = re.compile(r"https?://[A-Za-z0-9.\-\[\]:_]+")
SHORTEST_SIGNING_SECRET = 16
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+|[^@\s<>]+@localhost")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Unfit(Exception):
    """A value that a setting cannot take: what was found (never a secret) and the fix."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(found)
        self.found = found
        self.fix = fix


def read_value(setting: Setting, raw: object) -> object:
    """The value of the setting. Raises Unfit."""
    value = _READERS[setting.kind](setting, raw)
    if setting.secret and isinstance(value, str):
        _check_secret(setting, value)
        return Secret.of(value)
    if (
        setting.kind == "text"
        and setting.path == "stripe.publishable_key"
        and not str(value).startswith(("pk_test_", "pk_live_"))
    ):
        fix = "copy the key that begins with pk_ from Stripe's dashboard"
        raise Unfit("a secret key, which browsers would see" if str(value).startswith("sk_") else shown(value), fix)
    if setting.path == "stripe.account" and not re.fullmatch(r"acct_[A-Za-z0-9_]{1,250}", str(value)):
        raise Unfit(shown(value), "copy the account's id from Stripe's dashboard: Settings → Account details")
    return value


def has_password(url: str) -> bool:
    """Whether an address carries a password."""
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return True


def _check_secret(setting: Setting, value: str) -> None:
    if setting.path == "monitoring.webhook_secret" and not _is_webhook_secret(value):
        raise Unfit("a value of another form (not shown)", f"make one with `{setting.generate}`")
    if setting.signing:
        length = len(value.encode())
        if length < SIGNING_BYTES:
            raise Unfit(f"{length} bytes", f"make one with `{setting.generate}`")
        if len(set(value)) < 8:
            raise Unfit("the same few characters repeated", f"make one with `{setting.generate}`")
    if setting.path == "stripe.secret_key" and not value.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
        kind = "a publishable key (pk_…)" if value.startswith("pk_") else "a value of another form (not shown)"
        raise Unfit(kind, "copy the secret key from Stripe's dashboard: Developers → API keys")


def _is_webhook_secret(value: str) -> bool:
    """`whsec_` and 24 to 64 bytes in base 64 (Standard Webhooks, signature scheme)."""
    try:
        return value.startswith("whsec_") and 24 <= len(b64decode(value.removeprefix("whsec_"), validate=True)) <= 64
    except ValueError:
        return False


def _text(setting: Setting, raw: object) -> str:
    if not isinstance(raw, str) or any(ord(letter) < 32 for letter in raw):
        raise Unfit(
            "a value that is no text" if setting.secret else shown(raw), f"write {setting.key} as one line of text"
        )
    return raw.strip()


def _choice(setting: Setting, raw: object) -> str:
    text = _text(setting, raw).lower()
    if text not in setting.choices:
        raise Unfit(shown(raw), f"write {did_you_mean(text, setting.choices) or setting.choices[0]}")
    return text


def _boolean(setting: Setting, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    text = raw.strip().lower() if isinstance(raw, str) else ""
    if text not in _TRUE + _FALSE:
        raise Unfit(shown(raw), "write true or false")
    return text in _TRUE


def _integer(setting: Setting, raw: object) -> int:
    value = raw
    if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,18}", raw.strip()):
        value = int(raw)
    if isinstance(value, bool) or not isinstance(value, int) or not setting.least <= value <= setting.most:
        raise Unfit(shown(raw), f"write a whole number from {setting.least} to {setting.most}")
    return value


def _duration(setting: Setting, raw: object) -> int:
    """Milliseconds. A bare number is milliseconds too: that is how express-rate-limit's settings are written."""
    text = str(raw).strip() if isinstance(raw, (str, int)) and not isinstance(raw, bool) else ""
    try:
        milliseconds = int(text) if re.fullmatch(r"[0-9]{1,12}", text) else parse_duration(text)
    except ValueError:
        milliseconds = 0
    if milliseconds <= 0:
        raise Unfit(shown(raw), 'write a whole number and a unit, such as "15m"')
    return milliseconds


def _email(setting: Setting, raw: object) -> str:
    text = _text(setting, raw)
    if not _EMAIL.fullmatch(parseaddr(text)[1]):
        raise Unfit(shown(raw), "write it as someone@example.com")
    return text


def _items(setting: Setting, raw: object) -> list[str]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise Unfit("a value that is no list" if setting.secret else shown(raw), f"write {setting.allowed}")
    return [part.strip() for part in parts if part.strip()]


def _url(setting: Setting, raw: object) -> str:
    text = _text(setting, raw).rstrip("/")
    if not _is_origin(text):
        raise Unfit(shown(raw), "write the protocol and the host, with no path behind them: https://app.example.com")
    return text


def _origins(setting: Setting, raw: object) -> tuple[str, ...]:
    origins = [item.rstrip("/") for item in _items(setting, raw)]
    for origin in origins:
        if origin != "*" and not _is_origin(origin):
            raise Unfit(
                shown(origin), "write each origin as protocol and host, without a path: https://app.example.com"
            )
    return tuple(dict.fromkeys(origins))


def _paths(setting: Setting, raw: object) -> tuple[str, ...]:
    for path in (paths := _items(setting, raw)):
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
            raise Unfit(shown(path), "write a path that begins with /, such as /api/stripe-webhook")
    return tuple(dict.fromkeys(paths))


def _secrets(setting: Setting, raw: object) -> tuple[Secret, ...]:
    values = _items(setting, raw)
    for value in values:
        if not value.startswith("whsec_"):
            raise Unfit(
                "a value that does not begin with whsec_ (not shown)", "copy the endpoint's signing secret from Stripe"
            )
        if len(value) < SHORTEST_SIGNING_SECRET:
            found = f"a value of {len(value)} characters, too short to be whole (not shown)"
            raise Unfit(
                found, f"copy the whole signing secret from Stripe: at least {SHORTEST_SIGNING_SECRET} characters"
            )
    if not values:
        raise Unfit("an empty list", "copy the endpoint's signing secret from Stripe")
    return tuple(Secret.of(value) for value in values)


def _database(setting: Setting, raw: object) -> Secret:
    text = _text(setting, raw)
    if text.startswith(("postgres://", "postgresql+asyncpg://")):
        text = "postgresql://" + text.split("://", 1)[1]
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///") and ":memory:" not in text:
        return Secret.of(text)
    parts = _split(text)
    if parts is not None and parts.scheme == "postgresql" and parts.path.strip("/"):
        return Secret.of(text)
    scheme = text.split(":", 1)[0][:20]
    found = f"an address of {scheme}" if scheme.isalnum() else "a value of another form (not shown)"
    raise Unfit(found, "write sqlite:///tollhouse.db or postgresql://user:password@host:5432/name")


def _smtp(setting: Setting, raw: object) -> Secret:
    text = _text(setting, raw)
    parts = _split(text)
    if parts is None or parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise Unfit(
            "a value of another form (not shown)",
            "write smtp://user:password@host:587 or smtps://user:password@host:465",
        )
    return Secret.of(text)


def _endpoint(setting: Setting, raw: object) -> str:
    text = _text(setting, raw)
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise Unfit("a value of another form (not shown)", "write it as https://ops.example.com/tollhouse")
    return text


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_origin(text: str) -> bool:
    parts = _split(text)
    return bool(_ORIGIN_FORM.fullmatch(text)) and parts is not None and bool(parts.hostname)


_READERS: dict[Kind, Callable[[Setting, object], object]] = {
    "text": _text,
    "url": _url,
    "origins": _origins,
    "integer": _integer,
    "boolean": _boolean,
    "choice": _choice,
    "duration": _duration,
    "email": _email,
    "paths": _paths,
    "secrets": _secrets,
    "database": _database,
    "smtp": _smtp,
    "endpoint": _endpoint,
}
