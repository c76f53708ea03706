"""How webhooks of ours are signed: the Standard Webhooks convention (standardwebhooks.com), by its own library.

Whoever sends one uses this: endpoints of `hooks/`, and alerts.
"""

import base64
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base 64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(keys: Iterable[str], identifier: str, at_ms: int, body: bytes) -> dict[str, str]:
    """The headers of one webhook; with several secrets a signature by each, so that either verifies while one is changed."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    text = body.decode()
    return {
        "content-type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": str(at_ms // 1000),
        "webhook-signature": " ".join(Webhook(key).sign(identifier, at, text) for key in keys),
    }
