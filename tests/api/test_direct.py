"""Hot calls answered from the protocol: once a head is known, whole requests go the short way, and nothing else differs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from tests.support.books import Books
from tests.support.databases import new_sqlite
from tests.support.product import TOML, configuration_of
from tollhouse.api import direct
from tollhouse.customers import keys
from tollhouse.house import House
from tollhouse.http_protocol import OneWriteProtocol
from tollhouse.kernel.ids import new_id
from tollhouse.serving import Server
from tollhouse.store import Sql


@dataclass
class Wire:
    """One connection of a client, in bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *parts: bytes) -> None:
        self.writer.writelines(parts)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """(status, header fields, body) of the next answer."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)).decode()
        status, *lines = head.strip().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(fields["content-length"]))
        return int(status.split()[1]), fields, msgspec.json.decode(body)


@dataclass
class Street:
    """A server on a port, as uvicorn runs it, and how many of its answers went the short way."""

    port: int
    key: str
    house: House
    customer: str = ""
    short: list[str] = field(default_factory=list)

    async def wire(self) -> Wire:
        return Wire(*await asyncio.open_connection("127.0.0.1", self.port))

    def request(self, body: object, *more: str, path: str = "/v1/admit", key: str | None = None) -> bytes:
        """A whole request; `more` are further header lines."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        lines = [
            f"POST {path} HTTP/1.1", "Host: tollhouse.test", f"Authorization: Bearer {key or self.key}",
            "Content-Type: application/json", f"Content-Length: {len(content)}", *more, "", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode() + content

    def ask(self, key: str, action: str = "spend", **fields: object) -> bytes:
        return self.request({"customer": self.customer, "action": action, "key": key, **fields})


@asynccontextmanager
async def street(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Street]:
    """Serve this database in our own loop, on a port."""
    application = Kept(configuration_of(database_url, TOML))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                http=OneWriteProtocol,
                lifespan="on",
                log_level="warning",
                server_header=False,
                timeout_keep_alive=1,
            )
        )
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            assert not serving.done()
            await asyncio.sleep(0.01)
        house = application.house
        found = Street(listening.getsockname()[1], await _new_key(house), house)
        _count(found.short, monkeypatch)
        try:
            found.customer = await _customer(found)
            yield found
            assert await Books(house.store, house.catalog).findings() == []
        finally:
            server.should_exit = True
            await serving


class Kept(Server):
    """The server, whose house the tests may look into."""

    async def start(self) -> House:
        self.house = await super().start()
        return self.house


async def _new_key(house: House) -> str:
    async with house.store.transaction() as tx:
        made = await keys.create_secret_key(tx, "tests", house.store.clock.now_ms())
    await house.keys.refresh()
    return made.key


def _count(short: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name in ((direct.Answering, "one"), (direct.Gathering, "batch")):

        def counted(*arguments: Any, kind: Any = kind, name: str = name) -> Any:
            short.append(name)
            return kind(*arguments)

        monkeypatch.setattr(direct, kind.__name__, counted)


async def _customer(street: Street) -> str:
    wire = await street.wire()
    wire.send(street.request({"external_id": "ada", "email": "ada@example.com"}, path="/v1/customers"))
    status, _, body = await wire.answer()
    assert status == 201, body
    return str(body["id"])


@pytest.fixture
async def open_street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Street]:
    async with street(new_sqlite(tmp_path), monkeypatch) as found:
        yield found


async def test_the_second_request_under_a_head_goes_the_short_way_and_is_answered_alike(open_street: Street) -> None:
    wire = await open_street.wire()
    told = []
    for number in range(3):
        wire.send(open_street.ask(f"key-{number}", "ping"))
        told.append(await wire.answer())
    assert open_street.short == ["one", "one"]
    statuses, heads, bodies = zip(*told, strict=True)
    assert statuses == (200, 200, 200)
    assert {frozenset(head) for head in heads} == {
        frozenset({"date", "content-type", "content-length", "x-request-id", "ratelimit", "ratelimit-policy"})
    }
    assert heads[1]["ratelimit-policy"] == heads[0]["ratelimit-policy"] == '"requests";q=6;w=60'
    assert [head["ratelimit"].split(";")[1] for head in heads] == ["r=5", "r=4", "r=3"]
    assert len({head["x-request-id"] for head in heads}) == 3
    assert [body["meters"]["requests"]["used"] for body in bodies] == [1, 2, 3]
    wire.send(open_street.ask("key-0", "ping"))
    assert (await wire.answer())[2] == {**bodies[0], "replayed": True}


async def test_requests_sent_at_once_are_answered_in_order(open_street: Street) -> None:
    wire = await open_street.wire()
    wire.send(open_street.ask("warm-00"))
    await wire.answer()
    wire.send(*(open_street.ask(f"many-{number:02}") for number in range(20)))
    used = [(await wire.answer())[2]["meters"]["credits"]["used"] for _ in range(20)]
    assert used == list(range(2, 22))


async def test_what_comes_while_an_answer_is_being_made_waits_for_its_turn(open_street: Street) -> None:
    wire = await open_street.wire()
    wire.send(open_street.ask("warm-00"))
    await wire.answer()
    async with open_street.house.store.transaction() as tx:
        await tx.execute(Sql("update account set version = version where customer = :c"), c="nobody")
        for number in range(3):
            wire.send(open_street.ask(f"held-{number:02}"))
            await wire.writer.drain()
            await asyncio.sleep(0.02)
        assert open_street.short == ["one"]
    assert [(await wire.answer())[2]["meters"]["credits"]["used"] for _ in range(3)] == [2, 3, 4]


async def test_a_body_in_pieces_goes_the_long_way(open_street: Street) -> None:
    wire = await open_street.wire()
    whole = open_street.ask("warm-00")
    wire.send(whole)
    await wire.answer()
    for number, cut in enumerate((1, 40, whole.index(b"\r\n\r\n") + 2, len(whole) - 1)):
        request = open_street.ask(f"part-{number:02}")
        wire.send(request[:cut])
        await wire.writer.drain()
        await asyncio.sleep(0.02)
        wire.send(request[cut:])
        assert (await wire.answer())[2]["meters"]["credits"]["used"] == number + 2
    assert open_street.short == []
    wire.send(open_street.ask("last-00"))
    assert (await wire.answer())[2]["meters"]["credits"]["used"] == 6
    assert open_street.short == ["one"]


async def test_what_is_not_plainly_good_is_told_as_ever(open_street: Street) -> None:
    """Under heads that are known already: bad JSON, unknown fields, actions and customers, keys that changed their request."""
    wire = await open_street.wire()
    good = msgspec.json.encode({"customer": open_street.customer, "action": "spend", "key": "good"})
    bodies: list[tuple[bytes, int, str]] = [
        (b"{" * len(good), 400, "invalid_request"),
        (good.replace(b'"key"', b'"kay"'), 422, "invalid_request"),
        (good.replace(b"spend", b"fly__"), 422, "unknown_action"),
        (good.replace(open_street.customer.encode(), new_id("cus").encode()), 404, "customer_not_found"),
        (good.replace(open_street.customer.encode(), b"nobody".ljust(30, b"x")), 404, "customer_not_found"),
        (good.replace(b"good", b"\xff\xff\xff\xff"), 400, "invalid_request"),
        (good.replace(b'"good"', b'"~wn!"'), 422, "invalid_key"),
    ]
    wire.send(open_street.request(good))
    assert (await wire.answer())[0] == 200
    for body, status, code in bodies:
        assert len(body) == len(good)
        wire.send(open_street.request(body))
        got, head, problem = await wire.answer()
        assert (got, problem["code"]) == (status, code), problem
        assert head["content-type"] == "application/problem+json"
        assert head["x-request-id"]
    again = msgspec.json.encode({"customer": open_street.customer, "action": "track", "key": "good"})
    wire.send(open_street.request(again))
    assert (await wire.answer())[2]["code"] == "idempotency_key_reused"
    assert open_street.short == ["one", "one"]  # an unknown customer and a key used again are known to the lane only


async def test_a_refusal_and_a_failure_of_ours_go_the_short_way(
    open_street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = await open_street.wire()
    for number in range(3):
        wire.send(open_street.ask(f"key-{number}", "launch"))
        status, _, body = await wire.answer()
        assert (status, body["allowed"]) == (200, number < 2)
    assert body["reason"]["code"] == "credits_exhausted"
    monkeypatch.setattr("tollhouse.admission.lanes.MOST_QUEUED", 0)
    wire.send(open_street.ask("key-9", "launch"))
    status, head, problem = await wire.answer()
    assert (status, problem["code"], head["retry-after"]) == (503, "overloaded", "1")
    assert open_street.short == ["one"] * 3


async def test_a_revoked_key_is_refused_under_a_head_that_is_known(open_street: Street) -> None:
    house = open_street.house
    second = await _new_key(house)
    wire = await open_street.wire()
    body = {"customer": open_street.customer, "action": "spend"}
    for _ in range(2):
        wire.send(open_street.request(body, key=second))
        assert (await wire.answer())[0] == 200
    async with house.store.transaction() as tx:
        named = {found.last4: found.id for found in await keys.list_secret_keys(tx)}[second[-4:]]
        await keys.revoke_secret_key(tx, named, house.store.clock.now_ms())
    await house.keys.refresh()
    wire.send(open_street.request(body, key=second))
    assert (await wire.answer())[0] == 401
    assert open_street.short == ["one"]


async def test_a_batch_goes_the_short_way_and_answers_in_order(open_street: Street) -> None:
    wire = await open_street.wire()

    def batch(name: str) -> bytes:
        items = [{"customer": "ada", "action": "spend", "key": f"{name}-{number}"} for number in range(5)]
        return open_street.request({"items": [*items, items[0]]}, path="/v1/admit/batch")

    for name in ("a", "b"):
        wire.send(batch(name))
        status, _, body = await wire.answer()
        assert status == 200
        assert [item["replayed"] for item in body["items"]] == [False] * 5 + [True]
        assert body["items"][5]["id"] == body["items"][0]["id"]
    assert [item["meters"]["credits"]["used"] for item in body["items"]] == [6, 7, 8, 9, 10, 6]
    assert open_street.short == ["batch"]


@pytest.mark.parametrize("line", ["Connection: close", "Expect: 100-continue", "Transfer-Encoding: identity"])
async def test_heads_with_a_meaning_of_their_own_are_never_kept(open_street: Street, line: str) -> None:
    for number in range(2):
        wire = await open_street.wire()
        wire.send(open_street.request({"customer": open_street.customer, "action": "spend", "key": f"k{number}"}, line))
        head = await wire.reader.readline()
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 100", b"HTTP/1.1 400")), head
        wire.writer.close()
    assert open_street.short == []


async def test_a_key_in_the_header_counts_the_short_way_too(open_street: Street) -> None:
    wire = await open_street.wire()
    body = {"customer": open_street.customer, "action": "spend"}
    answers = []
    for _ in range(2):
        wire.send(open_street.request(body, "Idempotency-Key: same"))
        answers.append((await wire.answer())[2])
    assert answers[1] == {**answers[0], "replayed": True}
    assert open_street.short == ["one"]


async def test_a_connection_that_stays_idle_is_closed(open_street: Street) -> None:
    wire = await open_street.wire()
    for number in range(3):
        wire.send(open_street.ask(f"key-{number}"))
        await wire.answer()
    began = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(wire.reader.read(), 15) == b""
    assert 0.5 < asyncio.get_running_loop().time() - began < 12  # of uvicorn's one second here
    assert open_street.short == ["one", "one"]


async def test_a_head_is_found_by_all_of_its_bytes(open_street: Street) -> None:
    """Another key, path or length under nearly the same head is another head."""
    wire = await open_street.wire()
    wire.send(open_street.ask("key-0"))
    await wire.answer()
    wire.send(open_street.request({"customer": open_street.customer, "action": "spend"}, key="th_sk_" + "x" * 43))
    assert (await wire.answer())[0] == 401
    longer = open_street.ask("key-00")
    wire.send(longer)
    assert (await wire.answer())[0] == 200
    assert open_street.short == []
