"""The pages as a visitor's browser meets them: forms with their tokens, cookies, what stands in the HTML."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from tollhouse.kernel.errors import InvalidRequest, Unavailable

FORM_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
LAUNCH_DISABLED = re.compile(r'<button(?=[^>]*\bid="launch")(?=[^>]*\bdisabled\b)[^>]*>')


class _Figures(msgspec.Struct, frozen=True):
    """What of the live figures is needed here."""

    customer: str


class Browser:
    """One visitor of the instance's pages."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self.signed_in = False

    async def sign_up(self, email: str, password: str) -> None:
        """Fills in the form of /signup. Raises InvalidRequest when the page does not take it, Unavailable."""
        status, form = await self._ask("GET", "/signup")
        token = FORM_TOKEN.search(form)
        if status != 200 or token is None:
            raise InvalidRequest(f"/signup answered {status} without a form", fix="open it in a browser and look")
        fields = {"csrf": token[1], "name": "Validation test", "email": email, "password": password}
        status, page = await self._ask("POST", "/signup", fields)
        if status != 303:
            raise InvalidRequest(
                f"the form of /signup was answered with {status}: {_said(page)}", fix="fill it in by hand and look"
            )
        self.signed_in = True

    async def customer(self) -> str:
        """The id of the customer who is signed in. Raises InvalidRequest."""
        status, text = await self._ask("GET", "/app/live")
        try:
            return msgspec.json.decode(text, type=_Figures).customer
        except msgspec.MsgspecError:
            raise InvalidRequest(
                f"/app/live answered {status} and named no customer", fix="sign in by hand and look"
            ) from None

    async def tool_is_closed(self, tool: str) -> str | None:
        """What is wrong with the page of a tool that may not be launched; None when it is closed in every way (A6)."""
        status, page = await self._ask("GET", f"/app/tools/{tool}")
        if status != 200:
            return f"/app/tools/{tool} answered {status}"
        if "<iframe" in page:
            return f"the tool's frame is in the page /app/tools/{tool}"
        if LAUNCH_DISABLED.search(page) is None:
            return f"the launch button of /app/tools/{tool} is not disabled"
        return None if "<dialog" in page else f"/app/tools/{tool} says nothing of exhausted credits"

    async def _ask(self, method: str, path: str, fields: Mapping[str, str] | None = None) -> tuple[int, str]:
        try:
            async with self._http.request(method, self._url + path, data=fields, allow_redirects=False) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{method} {path}: {error}", fix="start the instance") from None


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Browser]:
    """A visitor with cookies of its own, on any address."""
    jar = aiohttp.CookieJar(unsafe=True)  # addresses without a name have cookies too
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=30)) as http:
        yield Browser(http, url)


def _said(page: str) -> str:
    """The first message of a page's banners or fields."""
    found = re.search(r'role="alert"[^>]*>(.*?)</', page, re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", " ", found[1]).strip()[:200] if found else "no message"
