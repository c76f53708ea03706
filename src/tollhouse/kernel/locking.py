"""Secrets that have to be read again are kept encrypted (AES-256-GCM): a copy of the database alone tells none of them.

The library is loaded when the first of them is locked or read, so that `serve` starts without it.
"""

import hashlib
import hmac
import secrets

_NONCE_BYTES = 12


class Locker:
    """Locks under a key that is derived from SESSION_SECRET for one use; each secret is bound to its owner's id."""

    def __init__(self, session_secret: str, use: str) -> None:
        self._key = hmac.digest(session_secret.encode(), f"tollhouse/locked/{use}".encode(), hashlib.sha256)

    def __repr__(self) -> str:
        return "Locker()"

    def lock(self, owner: str, text: str) -> bytes:
        """The secret as it is kept."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, text.encode(), owner.encode())

    def unlock(self, owner: str, locked: bytes) -> str | None:
        """What was locked; None when it was for another use or owner, or under another SESSION_SECRET."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, rest = locked[:_NONCE_BYTES], locked[_NONCE_BYTES:]
        try:
            return AESGCM(self._key).decrypt(nonce, rest, owner.encode()).decode()
        except (InvalidTag, ValueError):
            return None
