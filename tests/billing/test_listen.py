"""`tollhouse stripe listen`: a test account's events reach an instance that Stripe cannot call, each once, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.billing.shop import Shop
from tests.sandbox.outside import Controls, Receiver
from tollhouse.billing import listening
from tollhouse.billing.account import HANDLED_EVENTS
from tollhouse.cli import stripe_listen
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running_in_thread

SECRET = "whsec_" + "l" * 32


def pays(shop: Shop) -> list[str]:
    """Somebody subscribes; the ids of the events that an endpoint of ours would ask for, in their order."""
    fired = Controls(shop.sandbox.url).post("trigger", event="checkout.session.completed")
    return [event["id"] for event in fired["events"] if event["type"] in HANDLED_EVENTS]


def listen(shop: Shop, url: str | None = None) -> list[str]:
    """The ids that are forwarded by one look."""
    ran = shop.command("stripe", "listen", "--once", *(["--url", url] if url else []))
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[-1] == f"{len(lines) - 1} forwarded"
    return [line.split("\t")[0] for line in lines[:-1]]


def base(receiver: Receiver) -> str:
    return receiver.url.removesuffix("/webhooks/stripe")


@pytest.fixture
def unreached(served: Shop) -> Shop:
    """Served, and Stripe has no endpoint to call."""
    for endpoint in served.client.v1.webhook_endpoints.list().data:
        served.client.v1.webhook_endpoints.delete(endpoint.id)
    return served


def test_events_are_forwarded_from_where_it_stopped(unreached: Shop) -> None:
    before = pays(unreached)
    assert listen(unreached) == [], "it begins with what comes from now on"
    first = pays(unreached)
    assert listen(unreached) == first
    assert listen(unreached) == []
    second = pays(unreached)
    assert listen(unreached) == second
    inbox = [
        event["id"]
        for status in ("done", "pending", "parked")
        for event in json.loads(unreached.command("stripe", "events", "--status", status, "--json").out)["items"]
    ]
    assert sorted(inbox) == sorted([*first, *second])
    assert not set(before) & set(inbox)


def test_stopped_after_any_event_it_goes_on_with_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.command.set(STRIPE_WEBHOOK_SECRET=SECRET)
    told = stripe_listen._told
    with Receiver() as receiver:
        assert listen(shop, base(receiver)) == []
        wanted = pays(shop)
        assert len(wanted) > 2
        for _ in wanted:

            def stop(what: Any) -> None:
                told(what)
                raise KeyboardInterrupt

            monkeypatch.setattr(stripe_listen, "_told", stop)
            shop.command("stripe", "listen", "--once", "--url", base(receiver))
        monkeypatch.setattr(stripe_listen, "_told", told)
        rest = listen(shop, base(receiver))
    heard = [json.loads(one.payload)["id"] for one in receiver.heard]
    assert (heard, rest) == (wanted, [])
    assert {event.id for event in receiver.events(SECRET)} == set(wanted)


def test_more_than_a_page_of_events_all_arrive(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.command.set(STRIPE_WEBHOOK_SECRET=SECRET)
    monkeypatch.setattr(listening, "PAGE", 3)
    monkeypatch.setattr("tollhouse.billing.stripe.account.PAGE", 3)
    with Receiver() as receiver:
        assert listen(shop, base(receiver)) == []  # nothing has ever happened: it remembers the moment
        wanted = [*pays(shop), *pays(shop)]
        assert len(wanted) > 6
        assert listen(shop, base(receiver)) == wanted
        more = [*pays(shop), *pays(shop)]
        assert listen(shop, base(receiver)) == more


def test_an_instance_that_is_away_is_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.command.set(STRIPE_WEBHOOK_SECRET=SECRET)
    monkeypatch.setattr(listening, "PAUSES_SECONDS", (0.01,))
    with Receiver() as receiver:
        assert listen(shop, base(receiver)) == []
        wanted = pays(shop)
        receiver.answers = [503, 404, 429, 422]  # the last is for good: this event is not taken
        assert listen(shop, base(receiver)) == wanted
        assert len(receiver.heard) == len(wanted) + 3


def test_what_cannot_be_forwarded_is_told_with_its_fix(unreached: Shop) -> None:
    shop = unreached
    pays(shop)
    assert listen(shop) == []
    pays(shop)
    shop.command.set(STRIPE_WEBHOOK_SECRET=SECRET)
    ran = shop.command("stripe", "listen", "--once")
    assert (ran.status, "set it to what the running instance verifies" in ran.err) == (1, True)
    shop.command.set(STRIPE_WEBHOOK_SECRET="")
    assert "STRIPE_WEBHOOK_SECRET is not set" in shop.command("stripe", "listen", "--once").err
    place = shop.command.directory / stripe_listen.PLACE_FILE
    place.write_text(place.read_text().replace('"event":"evt_', '"event":"evt_gone'))
    shop.command.set(STRIPE_WEBHOOK_SECRET=SECRET)
    ran = shop.command("stripe", "listen", "--once")
    assert (ran.status, "Stripe does not know the event evt_gone" in ran.err) == (1, True)
    assert listen(shop) == []


def test_live_events_are_never_forwarded(shop: Shop) -> None:
    with running_in_thread(Config(port=0, smtp_port=None, mode="live")) as live:
        shop.command.set(
            ENVIRONMENT="rehearsal",
            STRIPE_SECRET_KEY="sk_live_x",
            STRIPE_API_BASE=live.url,
            STRIPE_WEBHOOK_SECRET=SECRET,
        )
        ran = shop.command("stripe", "listen", "--once")
    assert ran.status == 1
    assert "STRIPE_SECRET_KEY is a live key" in ran.err
    assert not (shop.command.directory / stripe_listen.PLACE_FILE).exists()
