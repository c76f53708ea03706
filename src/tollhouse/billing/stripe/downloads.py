"""What Stripe gives as a file: the PDF of an invoice. Over the network, never inside a transaction."""

import ssl
from urllib.parse import urlsplit

import aiohttp

from tollhouse.billing.stripe import wire
from tollhouse.billing.stripe.gateway import CONNECT_SECONDS, TIMEOUT_SECONDS, StripeGateway, path_of
from tollhouse.kernel.errors import NotFound, Unavailable

LARGEST_PDF_BYTES = 2 * 1024 * 1024
"""Stripe's own are some tens of kilobytes."""

_BEGINS = b"%PDF-"
_MOST_REDIRECTS = 5


async def invoice_pdf(gateway: StripeGateway, invoice: str) -> bytes:
    """The invoice as Stripe draws it, in its customer's language. Raises NotFound where there is none, Unavailable.

    Its address is asked for first: those that Stripe gives expire (docs.stripe.com/api/invoices/object).
    """
    address = (await gateway._call("get", path_of("/v1/invoices", invoice), {}, wire.Invoice)).invoice_pdf
    if address is None:
        raise NotFound(f"Stripe has no PDF of {invoice}", code="no_invoice_pdf", fix="finalize the invoice in Stripe")
    return await download(address, plain=urlsplit(gateway._base or "").scheme == "http")


async def download(address: str, *, plain: bool = False) -> bytes:
    """The PDF at this address; without TLS only where it is `plain`. Raises Unavailable for whatever else is there."""
    allowed = ("https", "http") if plain else ("https",)
    if urlsplit(address).scheme not in allowed:
        raise _no_pdf("its address is not encrypted")
    import stripe

    secure = ssl.create_default_context(cafile=stripe.ca_bundle_path)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=secure), timeout=timeout) as session,
            session.get(address, max_redirects=_MOST_REDIRECTS) as answer,
        ):
            if any(seen.url.scheme not in allowed for seen in (*answer.history, answer)):
                raise _no_pdf("its address is not encrypted")
            if answer.status != 200:
                raise _no_pdf(f"its address answers {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                body += chunk
                if len(body) > LARGEST_PDF_BYTES:
                    raise _no_pdf(f"it is larger than {LARGEST_PDF_BYTES} bytes")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise _no_pdf(f"its address does not answer: {type(error).__name__}") from error
    if not body.startswith(_BEGINS):
        raise _no_pdf("what its address answers is no PDF")
    return bytes(body)


def _no_pdf(why: str) -> Unavailable:
    return Unavailable(
        f"Stripe's PDF of the invoice could not be fetched: {why}",
        code="invoice_pdf_unavailable",
        fix="run `tollhouse invoices fetch CUSTOMER` later",
    )
