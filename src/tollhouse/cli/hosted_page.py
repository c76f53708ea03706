"""Pays on the sandbox's Checkout page as a browser would, by its form alone."""

from urllib.parse import urlsplit

import aiohttp

from tollhouse.kernel.errors import Conflict, Unavailable

PAYING_CARD = "4242424242424242"
PAYS_THEN_FAILS_CARD = "4000000000000341"


async def is_sandbox(http: aiohttp.ClientSession, page_url: str) -> bool:
    """Whether a Checkout page is the sandbox's: nobody else answers at its controls."""
    where = urlsplit(page_url)
    try:
        async with http.get(f"{where.scheme}://{where.netloc}/_sandbox/clock") as answer:
            return answer.status == 200 and "offset_seconds" in await answer.text()
    except aiohttp.ClientError:
        return False


async def pay(http: aiohttp.ClientSession, page_url: str, email: str, card: str = PAYING_CARD) -> None:
    """Types a test card and pays. Raises Conflict when the page takes it not, Unavailable when it is not there."""
    form = {"email": email, "number": card, "expiry": "12 / 40", "cvc": "123", "name": "Test Card"}
    try:
        async with http.post(page_url, data=form, allow_redirects=False) as answer:
            status = answer.status
    except aiohttp.ClientError as error:
        raise Unavailable(f"the Checkout page {page_url} does not answer: {error}", fix="start the sandbox") from None
    if status not in (302, 303):
        raise Conflict(
            f"the Checkout page answered {status} to the card", code="not_paid", fix=f"open {page_url} and look"
        )
