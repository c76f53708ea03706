"""What SESSION_SECRET seals: digests of tokens, the tokens of forms, secrets that have to be read again. Another secret makes all of them worthless.

One key per use is derived from the secret, so that what was made for one use proves nothing in another.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Literal

from tollhouse.kernel.errors import NotAllowed
from tollhouse.kernel.locking import Locker

Use = Literal["session", "verify", "reset", "recovery", "pending"]

TOKEN_BYTES = 32
_NONCE_BYTES = 16


def new_token() -> str:
    """32 random bytes, in 43 characters that are safe in addresses and cookies."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Seal:
    """Digests and form tokens under one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._root = secret.encode()

    def __repr__(self) -> str:
        return "Seal()"

    def _mac(self, use: str, message: bytes) -> bytes:
        key = hmac.digest(self._root, f"tollhouse/{use}".encode(), hashlib.sha256)
        return hmac.digest(key, message, hashlib.sha256)

    def digest(self, use: Use, token: str) -> bytes:
        """The SHA-256 digest (keyed) under which a token is kept; the token itself is kept nowhere."""
        return self._mac(use, _raw(token))

    def lock(self, use: str, owner: str, text: str) -> bytes:
        """A secret that has to be read again, encrypted (AES-256-GCM) for this use and owner alone."""
        return Locker(self._secret, use).lock(owner, text)

    def unlock(self, use: str, owner: str, sealed: bytes) -> str | None:
        """What was locked; None when it was for another use or owner, or under another secret."""
        return Locker(self._secret, use).unlock(owner, sealed)

    def sign(self, use: Use, text: str) -> str:
        """`text` with a signature for this use; `signed` reads it."""
        return f"{text}.{_text(self._mac(use, _raw(text)))}"

    def signed(self, use: Use, token: str) -> str | None:
        """What was signed for this use; None for anything else."""
        text, _, signature = token.rpartition(".")
        return text if hmac.compare_digest(_raw(signature), _raw(_text(self._mac(use, _raw(text))))) else None

    def new_visitor(self) -> str:
        """The value of the cookie `th_visitor`, to which the forms of somebody not signed in are bound."""
        token = new_token()
        return f"{token}.{_text(self._mac('visitor', token.encode()))}"

    def is_visitor(self, cookie: str) -> bool:
        """Whether we made this cookie."""
        token, _, signature = cookie.partition(".")
        return hmac.compare_digest(_raw(signature), _raw(_text(self._mac("visitor", _raw(token)))))

    def form_token(self, bound_to: str) -> str:
        """A token for the forms of one session (the value of `th_session`) or visitor (that of `th_visitor`).

        It differs at every call, so that a compressed page tells nothing about it.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _text(nonce + self._mac("form", nonce + _raw(bound_to)))

    def check_form(self, token: str, *, session: str | None, visitor: str | None) -> None:
        """Raises NotAllowed `form_expired` unless `token` was made for this session, or, without one, for this visitor."""
        if session is not None:
            bound_to = session
        elif visitor is not None and self.is_visitor(visitor):
            bound_to = visitor
        else:
            raise _form_expired()
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raise _form_expired() from None
        nonce, mac = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        if not hmac.compare_digest(mac, self._mac("form", nonce + _raw(bound_to))):
            raise _form_expired()


def _raw(text: str) -> bytes:
    """UTF-8 of whatever a browser sent, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _form_expired() -> NotAllowed:
    return NotAllowed(
        "this form is out of date, or was not sent from our own page",
        code="form_expired",
        fix="load the page again and send the form once more",
    )
