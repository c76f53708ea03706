"""How a webhook leaves: POST, signed (standardwebhooks.com, scheme v1), tried again until it is answered with 2xx."""

import aiohttp

from tollhouse.alerts.signing import signed_headers
from tollhouse.kernel.errors import Unavailable

TIMEOUT_SECONDS = 15.0


class Caller:
    """One receiver. The same identifier is sent at every try: by it the receiver knows a repetition."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret

    async def send(self, identifier: str, body: bytes, now: int) -> None:
        """Raises Unavailable with the fix, whatever the answer: each is tried again for three days."""
        headers = signed_headers((self._secret,), identifier, now, body)
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
        if status in (404, 410):  # as a proxy answers while its server starts: it may be there again
            raise Unavailable(
                f"nothing receives alerts there ({status})", setting="ALERT_WEBHOOK_URL", fix="check ALERT_WEBHOOK_URL"
            )
        if not 200 <= status < 300:
            raise Unavailable(
                f"the receiver of alerts answered {status}",
                setting="ALERT_WEBHOOK_URL",
                fix="look at its log; 401 or 403 mean another ALERT_WEBHOOK_SECRET there",
            )
