"""What receivers do to whoever sends: hang, redirect, answer without end, stand in a private network; one dead among many."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.alerts.hooked import LOCAL, World, created, opened, receiver
from tollhouse.alerts.hooks.addresses import Reach, checked_url, is_public
from tollhouse.alerts.hooks.delivering import AT_ONCE
from tollhouse.alerts.hooks.sending import LONGEST_ANSWER_BYTES, Sender
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.store import Sql

PUBLIC_ONLY = Reach(plain_http=True)


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url, timeout_seconds=60.0) as world:
        yield world


@pytest.mark.row("X6")
async def test_ten_thousand_deliveries_and_one_dead_endpoint_that_holds_up_nobody(world: World) -> None:
    async with receiver(handler_cancellation=True) as dead, receiver() as one, receiver() as two, receiver() as three:
        hangs = asyncio.Event()

        async def never(request: web.Request, body: bytes) -> web.StreamResponse:
            await hangs.wait()
            return web.Response(status=200)

        dead.answers = never
        broken, _ = await world.add(dead.url)
        good = [(await world.add(shop.url))[0] for shop in (one, two, three)]
        await world.happen(*(created() for _ in range(2_500)))
        await world.spread()
        await world.deliverer.round()
        tasks = world.deliverer._tasks
        await asyncio.gather(*(tasks[endpoint.id] for endpoint in good))
        for shop, endpoint in zip((one, two, three), good, strict=True):
            assert len(set(shop.ids)) == len(shop.ids) == 2_500
            assert len(await world.deliveries(endpoint, "delivered")) == 2_500
        assert len(dead.received) == AT_ONCE, "no more than so many wait for it at once"
        assert len(await world.deliveries(broken, "waiting")) == 2_500
        closing = asyncio.create_task(world.deliverer.close())
        await asyncio.sleep(0)
        hangs.set()
        await closing
        assert len(await world.deliveries(broken, "delivered")) == AT_ONCE, "what was under way is finished"
        async with world.store.reading() as tx:
            assert await tx.fetch(Sql("select event from hook_delivery where claim is not null")) == []


@pytest.mark.row("X6")
async def test_a_redirect_is_not_followed_and_counts_as_a_failure(world: World) -> None:
    async with receiver() as target, receiver() as shop:

        async def elsewhere(request: web.Request, body: bytes) -> web.StreamResponse:
            return web.Response(status=307, headers={"location": target.url})

        shop.answers = elsewhere
        endpoint, _ = await world.add(shop.url)
        await world.happen()
        await world.work()
        assert target.received == []
    (delivery,) = await world.deliveries(endpoint)
    assert (delivery.status, delivery.error) == ("waiting", "answered 307: redirects are not followed")


@pytest.mark.row("X6")
async def test_an_answer_without_end_is_read_to_its_first_kilobyte() -> None:
    async with receiver() as shop:
        sent = 0

        async def endless(request: web.Request, body: bytes) -> web.StreamResponse:
            nonlocal sent
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while sent < 50_000_000:
                    await response.write(b"\x00\xff" * 32_768)
                    sent += 65_536
            except OSError:
                pass
            return response

        shop.answers = endless
        sender = Sender(LOCAL, timeout_seconds=10.0)
        answer = await sender.send(shop.url, {}, b"{}")
        await sender.close()
    assert (answer.status, answer.error) == (200, None)
    assert len(answer.body) == LONGEST_ANSWER_BYTES
    assert "\x00" not in answer.body
    assert sent < 20_000_000


async def test_who_does_not_answer_or_is_not_there_is_told_apart() -> None:
    async with receiver(handler_cancellation=True) as shop:

        async def never(request: web.Request, body: bytes) -> web.StreamResponse:
            await asyncio.sleep(60)
            raise AssertionError

        shop.answers = never
        sender = Sender(LOCAL, timeout_seconds=0.2)
        late = await sender.send(shop.url, {}, b"{}")
        assert (late.status, late.error) == (None, "no answer within 0.2 s")
        nobody = await sender.send("http://127.0.0.1:1/", {}, b"{}")
        assert nobody.error is not None
        assert "Connect" in nobody.error
        unknown = await sender.send("http://nowhere.invalid/", {}, b"{}")
        assert unknown.error is not None
        assert "nowhere.invalid" in unknown.error
        await sender.close()


@pytest.mark.row("X6")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "inside.example"])
async def test_a_private_address_is_not_reached_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    plain = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo",
        lambda name, *more, **named: plain("127.0.0.1" if name == "inside.example" else name, *more, **named),
    )  # fmt: skip
    async with receiver() as shop:
        port = shop.url.split(":")[2].split("/")[0]
        sender = Sender(PUBLIC_ONLY)
        answer = await sender.send(f"http://{host}:{port}/hooks", {}, b"{}")
        await sender.close()
        assert shop.received == []
    assert answer.status is None
    assert answer.error is not None
    assert "HOOKS_ALLOW_PRIVATE=true" in answer.error or "not a canonical IPv4 address" in answer.error


@pytest.mark.row("X6")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
        "ff02::1", "240.0.0.1",
    ],
)  # fmt: skip
def test_addresses_of_networks_that_are_not_the_internet_are_private(address: str) -> None:
    assert is_public(address) is False


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address) is True


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/hooks", "is not encrypted"),
        ("ftp://example.com/hooks", "it is no address"),
        ("https:///hooks", "it is no address"),
        ("https://[::1/hooks", "it is no address"),
        ("https://example.com:99999/", "it is no address"),
        ("https://ada:secret@example.com/", "holds a name or password"),
        ("https://example.com/#here", "holds a fragment"),
        ("https://localhost/hooks", "is a private address"),
        ("https://10.1.2.3/hooks", "is a private address"),
        ("https://[::1]/hooks", "is a private address"),
        ("https://example.com/" + "x" * 2_000, "longer than 2000 characters"),
        ("https://exämple.com/", "strange ones"),
        ("https://example.com/a b", "strange ones"),
        ("", "it is no address"),
    ],
)
def test_what_is_no_address_for_webhooks_is_said(url: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        checked_url(url, Reach())


def test_an_https_address_is_taken_as_it_is() -> None:
    url = "https://api.example.com:8443/hooks?from=tollhouse"
    assert checked_url(url, Reach()) == url
    assert checked_url("http://localhost:3000/hooks", LOCAL) == "http://localhost:3000/hooks"
