"""Nothing secret is written down (row U14): values by the name of their key, texts by their form, at any depth.

mask(value)        a copy of any structure with its secrets replaced: for logs and for pages that show a payload
mask_text(text)    the same for a text: an exception, a repr, an error that was kept
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

MASK = "********"
DEEPEST = 30
SHORTEST_KNOWN = 8
LONGEST_CACHED = 64

_SECRET_NAMES = (
    "secret", "password", "passwd", "token", "apikey", "authorization", "cookie", "csrf", "signature", "credential", "privatekey",
    "paymentmethod", "cvc", "cvv", "cardnumber", "iban", "accountnumber", "fingerprint",
)  # fmt: skip
_WHOLE_NAMES = frozenset({"card", "number", "key", "exp", "expmonth", "expyear", "last4", "pan", "otp", "totp", "pin"})
_FORMS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("sk_", "rk_", "pk_"), re.compile(r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9_]{4,}")),
    (("whsec_",), re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{6,}")),
    (("th_",), re.compile(r"\bth_[sp]k_[A-Za-z0-9_-]{6,}")),
    (("_secret_",), re.compile(r"\b(?:pi|seti|cs|ek|src|sub)_[A-Za-z0-9_]*_secret_[A-Za-z0-9]+")),
    (("pm_", "card_", "tok_", "src_", "ba_", "ek_"), re.compile(r"\b(?:pm|card|tok|src|ba|ek)_[A-Za-z0-9]{8,}")),
    (("ey",), re.compile(r"(?<![\w.-])ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),  # a JWT
    (("bearer ",), re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{6,}")),
    (("://",), re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")),  # name and password of an address
    (("token=",), re.compile(r"(?i)(?<=[?&]token=)[^&\s\"']+")),
    (("v0=", "v1="), re.compile(r"\bv[01]=[0-9a-f]{16,}")),  # Stripe's signature
)
"""Each with what no match of it is without, in small letters: almost every text has none of it."""
_NAMED = re.compile(
    r"(?i)([\"']?\b[\w.-]{0,40}(?:secret|password|passwd|token|api[_-]?key|authorization|cookie|csrf|cvc|cvv)\b"
    r"(?:\\?[\"']?\s*[=:]\s*|\\?[\"']\s*,\s*)(?:Secret\()?)"
    r"(?:b?(?P<sign>\\?[\"'])(?:(?!(?P=sign)).)*(?P=sign)|(?:(?:basic|bearer) )?[^\s\"',;&)}\]]+)"
)
_NAMES = ("secret", "password", "passwd", "token", "api", "authorization", "cookie", "csrf", "cvc", "cvv")
_LOOKED_FOR = (*((parts, form, MASK) for parts, form in _FORMS), (_NAMES, _NAMED, r"\1" + MASK))
_CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-])")


_known: re.Pattern[str] | None = None
_values: set[str] = set()


def hide(values: Iterable[str]) -> None:
    """Let these be masked by their value from now on: this installation's own secrets, which may have any form."""
    global _known
    _values.update(value for value in values if len(value) >= SHORTEST_KNOWN)
    _known = (
        re.compile("|".join(re.escape(value) for value in sorted(_values, key=len, reverse=True))) if _values else None
    )


def mask(value: Any, depth: int = 0) -> Any:
    """Mappings, sequences and texts; whatever else stays as it is, or shows itself masked."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bytes):
        return mask_text(value.decode("utf-8", "replace"))
    if value is None or isinstance(value, (bool, int, float)):
        return MASK if isinstance(value, int) and not isinstance(value, bool) and _is_card(str(value)) else value
    if depth >= DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {
            mask_text(name) if isinstance(name, str) else name: mask_under(name, held, depth + 1)
            for name, held in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [mask(held, depth + 1) for held in value]
    return mask_text(repr(value) if isinstance(value, BaseException) else str(value))


def mask_under(name: object, value: Any, depth: int = 0) -> Any:
    """A value masked as it has to be under this name."""
    return _hidden(value) if isinstance(name, str) and is_secret_name(name) else mask(value, depth)


def _hidden(value: Any) -> Any:
    """Whether it is there may be told, and yes or no; nothing else."""
    return value if value is None or isinstance(value, bool) or value == "" else MASK


def is_secret_name(name: str) -> bool:
    """Whether what stands under this key is secret, however it is spelt: `clientSecret`, `CLIENT-SECRET`, `client secret`."""
    return _is_secret_name(name) if len(name) <= LONGEST_CACHED else _is_secret_name.__wrapped__(name)


@lru_cache(maxsize=1_024)
def _is_secret_name(name: str) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return plain in _WHOLE_NAMES or any(part in plain for part in _SECRET_NAMES)


def mask_text(text: str) -> str:
    """The text without what has the form of a secret, or stands behind a name that says so."""
    if _known is not None:
        text = _known.sub(MASK, text)
    # Letters beyond ASCII may count as these where case does not matter: then it looks for everything.
    small = text.lower() if text.isascii() else None
    for parts, form, shown in _LOOKED_FOR:
        for part in parts:
            if small is None or part in small:
                text = form.sub(shown, text)
                break
    return _CARD.sub(lambda match: MASK if _is_card(match[0]) else match[0], text)


def _is_card(text: str) -> bool:
    """13 to 19 digits whose check digit is right (ISO/IEC 7812, Luhn), and not a time in milliseconds."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    if not 13 <= len(digits) <= 19 or (len(digits) == 13 and digits[0] == 1):
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0
