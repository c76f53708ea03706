"""`tollhouse hooks …`: everything about webhooks out that is done without the pages."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.alerts.hooked import created, nothing
from tests.cli.running import CommandLine
from tests.support.serving import SESSION_SECRET
from tollhouse import presets
from tollhouse.store import open_store, outbox
from tollhouse.worker.delivering import spread_once

AURION = (Path(presets.__file__).parent / "aurion.toml").read_text()


class Shop:
    """A receiver in a thread of its own."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[dict[str, str], bytes]] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                shop.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(shop.status)
                self.end_headers()
                self.wfile.write(b"so it is")

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever)
    thread.start()
    yield shop
    shop.server.shutdown()
    shop.server.server_close()
    thread.join()


@pytest.fixture
def installed(tollhouse: CommandLine, schema_url: str) -> CommandLine:
    """AURION, with its database."""
    tollhouse.set(ENVIRONMENT="test", DATABASE_URL=schema_url, SESSION_SECRET=SESSION_SECRET)
    (tollhouse.directory / "tollhouse.toml").write_text(AURION)
    return tollhouse


def happen(url: str) -> None:
    """Something happens, and the worker spreads it without sending."""

    async def work() -> None:
        store = await open_store(url)
        async with store.transaction() as tx:
            await outbox.put(tx, created(), now=store.clock.now_ms())
        await spread_once(store, nothing, asyncio.Event())
        await store.close()

    asyncio.run(work())


def answer(tollhouse: CommandLine, *arguments: str) -> Any:
    """The JSON of a command that went well."""
    ran = tollhouse("hooks", *arguments, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


@pytest.mark.row("X6")
def test_an_endpoint_is_added_tried_and_its_secret_shown_once(installed: CommandLine, shop: Shop) -> None:
    ran = installed("hooks", "add", shop.url, "--event", "payment.failed", "--description", "the app")
    assert ran.status == 0, ran.err
    endpoint, secret = ran.out.split()
    assert installed("hooks", "list").out == f"{endpoint}\t{shop.url}\tpayment.failed\tenabled\t0\t0\t0\tthe app\n"
    assert secret not in installed("hooks", "list", "--json").out
    ran = installed("hooks", "test", endpoint)
    assert (ran.status, "was taken: 200 after" in ran.out) == (0, True)
    ((headers, body),) = shop.received
    assert Webhook(secret).verify(body, headers)["type"] == "hook.test"
    shop.status = 500
    ran = installed("hooks", "test", endpoint)
    assert (ran.status, "was not taken" in ran.out, "answered 500" in ran.out) == (1, True, True)
    other = answer(installed, "rotate", endpoint, "--overlap", "1h")["secret"]
    shop.status = 200
    assert answer(installed, "test", endpoint)["body"] == "so it is"
    for known in (secret, other):
        Webhook(known).verify(shop.received[-1][1], shop.received[-1][0])


@pytest.mark.row("X6")
def test_what_was_missed_while_disabled_is_listed_and_replayed(
    installed: CommandLine, shop: Shop, schema_url: str
) -> None:
    endpoint = answer(installed, "add", shop.url)["id"]
    assert answer(installed, "disable", endpoint, "--reason", "moving house")["disabled_why"] == "moving house"
    happen(schema_url)
    (missed,) = answer(installed, "deliveries", endpoint, "--status", "failed")["items"]
    assert (missed["type"], missed["error"]) == ("customer.created", "the endpoint was disabled")
    refused = installed("hooks", "replay", endpoint)
    assert (refused.status, f"enable {endpoint} first" in refused.err) == (1, True)
    ran = installed("hooks", "enable", endpoint)
    assert "1 deliveries were missed" in ran.out
    again = ran.out.split("tollhouse ")[1].split()
    assert installed(*again).out == "1 to be sent again\n"
    assert [one["status"] for one in answer(installed, "deliveries", endpoint)["items"]] == ["waiting"]
    assert answer(installed, "replay", endpoint, missed["event"]) == {"replayed": 1}
    shown = answer(installed, "deliveries", endpoint, missed["event"])
    assert (shown["payload"]["type"], shown["tried"]) == ("customer.created", [])
    assert '"customer.created"' in installed("hooks", "deliveries", endpoint, missed["event"]).out
    assert "customer.created" in installed("hooks", "deliveries", endpoint).out
    assert answer(installed, "replay", endpoint, "--since", "2d") == {"replayed": 0}


def test_removing_has_to_be_meant(installed: CommandLine, shop: Shop) -> None:
    endpoint = answer(installed, "add", shop.url)["id"]
    ran = installed("hooks", "remove", endpoint)
    assert (ran.status, "add --yes" in ran.err) == (1, True)
    assert installed("hooks", "remove", endpoint, "--yes").out == f"{endpoint} is removed: {shop.url}\n"
    assert installed("hooks", "list").out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "shop"), "write an address such as https://"),
        (("add", "https://a.example", "--event", "payment.lost"), "name some of: customer.created"),
        (("add", "https://a.example", "--description", "x" * 201), "at most 200"),
        (("rotate", "hke_nothing"), "list them with `tollhouse hooks list`"),
        (("rotate", "hke_nothing", "--overlap", "long"), "24h"),
        (("rotate", "hke_nothing", "--overlap", "8d"), "0s to 7d"),
        (("enable", "hke_nothing"), "there is no endpoint"),
        (("deliveries", "hke_nothing"), "there is no endpoint"),
        (("replay", "hke_nothing", "--since", "yesterday"), "3d for three days ago"),
        (("replay", "hke_nothing", "evt_1", "--since", "3d"), "choose one of them"),
        (("test", "hke_nothing"), "there is no endpoint"),
    ],
)
def test_what_is_wrong_is_said_with_its_fix(installed: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    ran = installed("hooks", *arguments)
    assert (ran.status, ran.out) == (1, "")
    assert said in ran.err


def test_production_takes_https_and_public_addresses_only(installed: CommandLine) -> None:
    installed.set(
        ENVIRONMENT="staging", TOLLHOUSE_URL="https://staging.example.com", STRIPE_SECRET_KEY="sk_test_x" + "y" * 20,
        STRIPE_WEBHOOK_SECRET="whsec_" + "x" * 32, SMTP_URL="smtp://mail.example.com:25", MAIL_FROM="a@example.com",
    )  # fmt: skip
    for url, fix in (("http://shop.example.com/", "write https://"), ("https://10.0.0.7/", "HOOKS_ALLOW_PRIVATE=true")):
        ran = installed("hooks", "add", url)
        assert (ran.status, fix in ran.err) == (1, True)
    installed.set(HOOKS_ALLOW_PRIVATE="true")
    assert installed("hooks", "add", "https://10.0.0.7/").status == 0
