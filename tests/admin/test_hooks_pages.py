"""Webhooks out on the staff's pages: add, test, replay, rotate, disable, enable, remove."""

from __future__ import annotations

import asyncio
import re

import pytest
from standardwebhooks import Webhook

from tests.alerts.hooked import LOCAL, Receiver, created, nothing, receiver
from tests.web.street import Person, Street
from tollhouse.alerts.hooks.delivering import Deliverer
from tollhouse.alerts.hooks.opening import open_hooks
from tollhouse.alerts.hooks.sending import Sender
from tollhouse.store import Sql, outbox
from tollhouse.worker.delivering import spread_once


async def work(aurion: Street) -> None:
    """The worker spreads and sends what there is."""
    store = aurion.house.store
    while await spread_once(store, nothing, asyncio.Event()):
        pass
    deliverer = Deliverer(store, open_hooks(aurion.house.settings).vault, Sender(LOCAL), lambda: 0.0)
    await deliverer.round()
    await deliverer.idle()
    await deliverer.close()


async def happen(aurion: Street) -> None:
    async with aurion.house.store.transaction() as tx:
        await outbox.put(tx, created(), now=aurion.house.store.clock.now_ms())


async def added(grace: Person, shop: Receiver, **more: str) -> tuple[str, str]:
    """An endpoint by the form; its path and its secret."""
    answer = await grace.submit("/admin/hooks", "/admin/hooks", url=shop.url, **more)
    assert answer.status_code == 200, answer.text
    secret = re.search(r"<code>(whsec_[^<]+)</code>", answer.text)
    path = re.search(r"/admin/hooks/hke_\w+", answer.text)
    assert secret is not None
    assert path is not None
    return path[0], secret[1].replace("&#43;", "+")


@pytest.mark.row("X6")
async def test_an_endpoint_is_added_and_its_secret_shown_once(aurion: Street, grace: Person) -> None:
    assert "Nobody is told yet" in (await grace.open("/admin/hooks")).text
    async with receiver() as shop:
        path, secret = await added(grace, shop, **{"event:payment.failed": "on", "description": "the app"})
        listed = (await grace.open("/admin/hooks")).text
        assert (shop.url in listed, "payment.failed" in listed, secret in listed) == (True, True, False)
        assert secret not in (await grace.open(path)).text
        tested = await grace.submit(path, f"{path}/change", do="test")
        assert "It is on its way" in (await grace.open(tested.headers["location"])).text
        await work(aurion)
        Webhook(secret).verify(shop.received[0].body, shop.received[0].headers)
        page = (await grace.open(tested.headers["location"])).text
        assert ("Arrived" in page, "thanks" in page, "hook.test" in page) == (True, True, True)


@pytest.mark.row("X6")
async def test_what_failed_is_seen_and_sent_again_one_or_all(aurion: Street, grace: Person) -> None:
    async with receiver() as shop:
        path, _ = await added(grace, shop)
        shop.status = 500
        await happen(aurion)
        await happen(aurion)
        await work(aurion)
        assert "Nothing is answered" in (await grace.open(path)).text
        assert '<td class="number">500</td>' in (await grace.open(f"{path}?status=waiting")).text
        async with aurion.house.store.transaction() as tx:
            await tx.execute(Sql("update hook_delivery set status = 'failed'"))
        shop.status = 200
        failed = (await grace.open(f"{path}?status=failed")).text
        links = re.findall(rf'href="({path}/evt_\w+)"', failed)
        sent = len(shop.received)
        one = await grace.submit(links[0], f"{links[0]}/replay")
        await work(aurion)
        assert "Arrived" in (await grace.open(one.headers["location"])).text
        assert shop.ids[sent:] == [links[0].rsplit("/", 1)[1]]
        rest = await grace.submit(path, f"{path}/change", do="replay", since="24")
        assert rest.headers["location"].endswith(f"number={len(links) - 1}")
        await work(aurion)
        assert "No deliveries" in (await grace.open(f"{path}?status=failed")).text


@pytest.mark.row("X6")
async def test_a_secret_is_changed_once_though_the_form_is_sent_twice(aurion: Street, grace: Person) -> None:
    async with receiver() as shop:
        path, old = await added(grace, shop)
        page = (await grace.open(path)).text
        token = re.search(r'name="csrf" value="([\w-]+)"', page)
        made = re.search(r'name="secret_at" value="(\d+)"', page)
        assert token is not None
        assert made is not None
        form = {"csrf": token[1], "secret_at": made[1], "overlap": "24"}
        aurion.house.store.clock.test_offset_ms += 1000
        first = await grace.client.post(f"{path}/rotate", data=form)
        second = await grace.client.post(f"{path}/rotate", data=form)
        assert (first.status_code, second.status_code) == (200, 409)
        assert "was changed meanwhile" in second.text
        await happen(aurion)
        await work(aurion)
        Webhook(old).verify(shop.received[0].body, shop.received[0].headers)


async def test_an_endpoint_is_disabled_enabled_and_removed(aurion: Street, grace: Person) -> None:
    async with receiver() as shop:
        path, _ = await added(grace, shop)
        await grace.submit(path, f"{path}/change", do="disable", why="moving house")
        assert "moving house" in (await grace.open(path)).text
        await happen(aurion)
        await work(aurion)
        enabled = await grace.submit(path, f"{path}/change", do="enable")
        assert re.search(r"\d+ deliver(y was|ies were) missed", (await grace.open(enabled.headers["location"])).text)
        await grace.submit(path, f"{path}/change", do="disable", why="for good")
        gone = await grace.submit(path, f"{path}/change", do="remove")
        assert gone.headers["location"] == "/admin/hooks?done=removed"
        assert (await grace.open(path)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "shop"}, "write an address such as https://"),
        ({"url": "https://a.example", "event:payment.lost": "on"}, "name some of: customer.created"),
    ],
)
async def test_what_is_typed_wrongly_stays_and_is_explained(grace: Person, fields: dict[str, str], said: str) -> None:
    answer = await grace.submit("/admin/hooks", "/admin/hooks", **fields)
    assert (answer.status_code, said in answer.text, fields["url"] in answer.text) == (422, True, True)


async def test_forms_are_staffs_alone_and_name_what_they_do(aurion: Street, ada: Person, grace: Person) -> None:
    async with receiver() as shop:
        path, _ = await added(grace, shop)
        for form in ("/admin/hooks", f"{path}/rotate", f"{path}/change", f"{path}/evt_1/replay"):
            assert (await ada.client.post(form)).status_code == 403
            assert (await grace.client.post(form)).status_code == 403  # without the form's token
        assert (await grace.submit(path, f"{path}/change", do="everything")).status_code == 422
        assert (await grace.submit(path, f"{path}/change", do="replay", since="99")).status_code == 422
        assert (await grace.submit(path, f"{path}/rotate", overlap="99")).status_code == 422
