"""E-mail addresses and other words that people type: checked once, in one way, before they reach a table."""

import re
import unicodedata

from tollhouse.kernel.errors import InvalidRequest

LONGEST_EMAIL = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
LONGEST_LOCAL = 64  # RFC 5321 4.5.3.1.1
LONGEST_NAME = 200

_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")


def normal_email(text: str) -> str:
    """The address in the one form that is stored and compared: trimmed, lower case, the domain in ASCII.

    Raises InvalidRequest `invalid_email` for anything that is not `local@domain.tld`. The local part is ASCII (RFC 5321),
    so that no two addresses that look alike can be taken for one another.
    """
    trimmed = text.strip()
    local, at, domain = trimmed.rpartition("@")
    if not at or len(trimmed) > LONGEST_EMAIL or not local.isascii():
        raise _invalid_email()
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _invalid_email() from None
    labels = ascii_domain.split(".")
    sane = len(labels) >= 2 and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    email = f"{local.lower()}@{ascii_domain}"
    if not sane or len(local) > LONGEST_LOCAL or len(email) > LONGEST_EMAIL or not _LOCAL.fullmatch(local.lower()):
        raise _invalid_email()
    return email


def _invalid_email() -> InvalidRequest:
    return InvalidRequest(
        "this is not an e-mail address",
        code="invalid_email",
        fix="write it as name@example.com, at most 254 characters",
    )


def plain_text(text: str, what: str, longest: int = LONGEST_NAME) -> str:
    """`text`, trimmed. Raises InvalidRequest when it holds control characters (NUL, line breaks…) or is too long."""
    trimmed = text.strip()
    if len(trimmed) > longest:
        raise InvalidRequest(f"{what} has {len(trimmed)} characters", fix=f"send at most {longest}")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in trimmed):
        raise InvalidRequest(f"{what} holds control characters", fix="send printable text on one line")
    return trimmed


def known_locale(text: str | None, default: str) -> str:
    """A language tag such as `fr` or `fr-CA`; `default` when there is none. Raises InvalidRequest."""
    if not text:
        return default
    if not _LOCALE.fullmatch(text):
        raise InvalidRequest("the locale is not a language tag", fix="write it as en, fr or fr-CA")
    return text
