"""Endpoints' secrets are needed again at every delivery, so they are kept sealed: a copy of the database signs nothing."""

import base64
import hashlib
import hmac
import os

from tollhouse.kernel.errors import ConfigurationError

_NONCE_BYTES = 12


class Vault:
    """Seals under a key derived from SESSION_SECRET (AES-256-GCM, bound to the endpoint's id)."""

    def __init__(self, session_secret: str) -> None:
        self._key = hmac.digest(session_secret.encode(), b"tollhouse/hooks", hashlib.sha256)

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, endpoint: str, secret: str) -> str:
        """The secret as it is kept."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # only here: `serve` starts without it

        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(nonce, secret.encode(), endpoint.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, endpoint: str, sealed: str) -> str:
        """The secret itself. Raises ConfigurationError when SESSION_SECRET is another one than it was sealed with."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        raw = base64.b64decode(sealed)
        try:
            return AESGCM(self._key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], endpoint.encode()).decode()
        except InvalidTag:
            raise ConfigurationError(
                f"the secret of {endpoint} was sealed with another SESSION_SECRET",
                code="hook_secret_unreadable",
                setting="SESSION_SECRET",
                fix=f"set SESSION_SECRET as it was, or run `tollhouse hooks rotate {endpoint} --overlap 0s`",
            ) from None
