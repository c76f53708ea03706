"""What both clients are configured with."""

import os
import platform
from importlib.metadata import version
from urllib.parse import urlsplit

import msgspec

from tollhouse_sdk.calls import Answer, Call
from tollhouse_sdk.errors import NotConfigured
from tollhouse_sdk.retries import Attempts, Retries
from tollhouse_sdk.transport import Request

__version__ = version("tollhouse-sdk")

URL_VARIABLE, KEY_VARIABLE = "TOLLHOUSE_URL", "TOLLHOUSE_KEY"
USER_AGENT = f"tollhouse-sdk/{__version__} python/{platform.python_version()}"


class Options(msgspec.Struct, frozen=True):
    """Where to, as whom, and how patiently. `timeout` is of one attempt, `deadline` of a call with all its attempts."""

    url: str
    secret_key: str
    timeout: float = 10.0
    deadline: float = 30.0
    retries: Retries = Retries()

    def __repr__(self) -> str:
        return f"Options({self.url!r})"

    def attempts(self, now: float) -> Attempts:
        """The attempts of a call that begins now."""
        return Attempts(self.retries, self.timeout, self.deadline, now)

    def request(self, call: Call[Answer], timeout: float) -> Request:
        """The call as an HTTP request."""
        headers = {"authorization": f"Bearer {self.secret_key}", "accept": "application/json", "user-agent": USER_AGENT}
        if call.body is not None:
            headers["content-type"] = "application/json"
        return Request(call.method, self.url + call.path, headers, call.body, timeout)


def options_from(
    url: str | None, secret_key: str | None, timeout: float, deadline: float, retries: Retries | None
) -> Options:
    """Checked options; address and key come from TOLLHOUSE_URL and TOLLHOUSE_KEY where none are given.

    Raises NotConfigured.
    """
    url = (url or os.environ.get(URL_VARIABLE, "")).rstrip("/")
    key = secret_key or os.environ.get(KEY_VARIABLE, "")
    if not url:
        raise NotConfigured("the client has no address", fix=f"pass url=, or set {URL_VARIABLE}")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotConfigured(f"{url!r} is no address", fix="write it as https://tollhouse.example.com")
    if not key:
        raise NotConfigured("the client has no secret key", fix=f"pass secret_key=, or set {KEY_VARIABLE}")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise NotConfigured("the secret key has characters that no key has", fix="copy it again, without line breaks")
    return Options(url, key, timeout, deadline, retries or Retries())


def changed(options: Options, timeout: float | None, deadline: float | None, retries: Retries | None) -> Options:
    """The same options but for what is given."""
    return msgspec.structs.replace(
        options,
        timeout=options.timeout if timeout is None else timeout,
        deadline=options.deadline if deadline is None else deadline,
        retries=options.retries if retries is None else retries,
    )
