"""The HTTP client that the SDK calls with. Loads the SDK: it is imported with the first call."""

from collections.abc import Mapping

import stripe
from multidict import CIMultiDict


class Fields(CIMultiDict[str]):
    """The header fields of a good answer, which carry its body past the SDK."""

    body: bytes = b""


class BodyAside(stripe.AIOHTTPClient):
    """The SDK's own client, but for one thing: the SDK decodes each body and writes it for a log of its own, which takes
    a fifth of the time of applying an event; we decode it ourselves, into our own shapes. Errors are the SDK's to read."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[bytes, int, Fields]:
        """(what the SDK may read, status, header fields)."""
        body, status, given = await super().request_async(method, url, headers, post_data)
        fields = Fields(given)
        fields.body = body
        return (b"{}" if 200 <= status < 300 else body), status, fields
