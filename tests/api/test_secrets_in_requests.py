"""Whatever secrets a request brings, and whatever fails meanwhile, no log line and no page of an error holds them."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from tests.web.street import ORIGIN, opened
from tollhouse.settings.logs import configure_logging
from tollhouse.store.postgres import PostgresTx
from tollhouse.store.sqlite import SqliteTx

# Each of the form that such a secret has; what has none stands under the name by which it is asked for.
KEY, PUBLIC, SESSION = (
    "th_sk" + "_planted0123456789abcd",
    "th_pk" + "_planted0123456789abcd",
    "plantedsession0123456789abcdef",
)
SIGNATURE, TOKEN, FORM = "1717171717171717" * 4, "plantedtoken0123456789abcdefghij", "plantedform0123456789abcdefghij"
PASSWORD, METHOD, CARD, CLIENT = (
    "planted words of ada",
    "pm_1Planted" + "Abcdef",
    "4242424242424242",
    "seti_1Pl_secret_" + "Planted0123",
)
PLANTED = (KEY, PUBLIC, SESSION, SIGNATURE, TOKEN, FORM, PASSWORD, METHOD, CARD, CLIENT)
HEADERS: dict[str, str] = {
    "cookie": f"th_session={SESSION}; th_csrf={FORM}", "x-csrf-token": FORM, "stripe-signature": f"t=1,v1={SIGNATURE}",
}  # fmt: skip
FIELDS: dict[str, Any] = {
    "password": PASSWORD, "new_password": PASSWORD, "token": TOKEN, "csrf": FORM, "payment_method": METHOD, "client_secret": CLIENT,
    "setup_intent": CLIENT, "card": {"number": CARD, "cvc": "737"}, "email": "ada@example.com", "api_key": KEY, "data": [{"object": {"client_secret": CLIENT}}],
}  # fmt: skip


def ways(app: Any) -> list[tuple[str, str]]:
    """(method, path) of everything that the application answers, its parameters filled with secrets too."""
    found = set()
    for route in app.routes:
        for method in getattr(route, "methods", None) or {"POST"}:
            if method not in ("OPTIONS", "HEAD"):
                found.add((method, re.sub(r"\{[^}]*\}", METHOD, route.path)))
    return sorted(found)


async def send_everything(app: Any) -> int:
    """Every request of every kind, each with a secret key, with a session, and as a form. How many."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=("203.0.113.7", 5000))
    sent = 0
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        for method, path in ways(app):
            asked = f"{path}?token={TOKEN}&client_secret={CLIENT}"
            for extra in ({"authorization": f"Bearer {KEY}"}, {"authorization": f"Basic {KEY}"}, {}):
                with contextlib.suppress(httpx.HTTPError):
                    await client.request(method, asked, headers=HEADERS | extra, content=json.dumps(FIELDS))
                with contextlib.suppress(httpx.HTTPError):
                    await client.request(
                        method, asked, headers=HEADERS | extra, data={name: str(held) for name, held in FIELDS.items()}
                    )
                sent += 2
    return sent


@pytest.mark.row("U14")
@pytest.mark.parametrize("failing", [False, True])
async def test_no_log_line_holds_what_a_request_brought(
    schema_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    async with opened(
        schema_url, "aurion", tmp_path, STRIPE_SECRET_KEY="sk_test_planted01234567", LOG_LEVEL="debug"
    ) as street:
        configure_logging(street.house.settings)
        try:
            if failing:

                async def break_down(_: object, sql: object, **parameters: object) -> Any:
                    raise RuntimeError(f"could not run {sql!r} with {parameters!r} for {HEADERS!r} and {FIELDS!r}")

                for kind in (SqliteTx, PostgresTx):
                    for name in ("fetch", "fetch_one", "execute"):
                        monkeypatch.setattr(kind, name, break_down)
            sent = await send_everything(street.app)
            monkeypatch.undo()
        finally:
            structlog.reset_defaults()
            logging.getLogger().handlers = [
                held for held in logging.getLogger().handlers if type(held).__name__ != "_Stderr"
            ]
    said = capsys.readouterr()
    assert sent > 200
    assert said.err.count("\n") > (100 if failing else 0)
    assert "Traceback" in said.err or not failing
    for secret in (*PLANTED, "sk_test_planted01234567"):
        assert secret not in said.err + said.out
