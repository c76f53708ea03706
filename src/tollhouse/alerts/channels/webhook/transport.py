"""How a webhook leaves: POST, signed (standardwebhooks.com, scheme v1), tried again until it is answered with 2xx."""

import base64
import hashlib
import hmac

import aiohttp

from tollhouse.kernel.errors import ConfigurationError, Unavailable

TIMEOUT_SECONDS = 15.0


def signature(secret: str, identifier: str, at_seconds: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, time and body, by the key that stands in base 64 behind `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identifier}.{at_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class Caller:
    """One receiver. The same identifier is sent at every try: by it the receiver knows a repetition."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret

    async def send(self, identifier: str, body: bytes, now: int) -> None:
        """Raises ConfigurationError for an address that is not there, Unavailable otherwise; each with its fix."""
        at_seconds = now // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": str(at_seconds),
            "webhook-signature": signature(self._secret, identifier, at_seconds, body),
        }
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"the receiver of alerts cannot be reached: {type(error).__name__}",
                setting="ALERT_WEBHOOK_URL",
                fix="check ALERT_WEBHOOK_URL, and that its server runs",
            ) from error
        if status in (404, 410):
            raise ConfigurationError(
                f"nothing receives alerts there ({status})", setting="ALERT_WEBHOOK_URL", fix="check ALERT_WEBHOOK_URL"
            )
        if not 200 <= status < 300:
            raise Unavailable(
                f"the receiver of alerts answered {status}",
                setting="ALERT_WEBHOOK_URL",
                fix="look at its log; 401 or 403 mean another ALERT_WEBHOOK_SECRET there",
            )
