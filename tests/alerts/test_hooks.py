"""Webhooks out, from what happened to the receiver that verifies it: filters, retries for three days, replay, rotation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.alerts.hooked import World, created, follow_clock, opened, receiver
from tollhouse.alerts.hooks import actions
from tollhouse.alerts.hooks.addresses import Reach
from tollhouse.alerts.hooks.events import EVENTS
from tollhouse.alerts.hooks.model import KEPT_MS, PAUSES_MS, pause_ms
from tollhouse.alerts.hooks.vault import Vault
from tollhouse.kernel.clock import DAY, HOUR, MINUTE, SECOND, rfc3339
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.kernel.facts import BalanceExhausted, MailRequested, PaymentFailed, PlanChanged
from tollhouse.store import Sql
from tollhouse.store.outbox import Outgoing
from tollhouse.worker.delivering import deliver_once

ADA = "cus_00000000000000000000000001"


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        yield world


@pytest.mark.row("X6")
async def test_what_happened_arrives_signed_by_the_convention(world: World) -> None:
    async with receiver() as shop:
        endpoint, secret = await world.add(shop.url)
        gone = BalanceExhausted(ADA, "credits", 100_500, 100_500, 0, 3, 1_900_000_000_000)
        (identifier,) = await world.happen(gone, customer=ADA)
        happened = world.now
        await world.work()
        (event,) = shop.verified(secret)
        assert shop.ids == [identifier]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert abs(int(shop.received[0].headers["webhook-timestamp"]) * 1000 - happened) < 10_000
    assert shop.received[0].headers["content-type"] == "application/json"
    timestamp = event.pop("timestamp")
    assert timestamp[:16] in (rfc3339(happened)[:16], rfc3339(happened - MINUTE)[:16])
    assert event == {
        "type": "balance.exhausted",
        "version": 1,
        "data": {
            "customer": ADA, "external_id": None, "meter": "credits", "total": 100.5, "used": 100.5, "remaining": 0,
            "resets_at": "2030-03-17T17:46:40.000Z",
        },
    }  # fmt: skip
    (delivery,) = await world.deliveries(endpoint)
    assert (delivery.status, delivery.attempts, delivery.answered, delivery.error) == ("delivered", 1, 200, None)
    async with world.store.reading() as tx:
        _, body, (attempt,) = await actions.read_delivery(tx, endpoint.id, identifier)
    assert (attempt.answered, attempt.answer, attempt.error, body.encode()) == (
        200, "thanks", None, shop.received[0].body,
    )  # fmt: skip


@pytest.mark.row("X6")
async def test_a_signature_of_another_secret_or_body_is_refused(world: World) -> None:
    async with receiver() as shop:
        _, secret = await world.add(shop.url)
        await world.happen()
        await world.work()
    (got,) = shop.received
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 43 + "=").verify(got.body, got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(got.body.replace(b"free", b"paid"), got.headers)


@pytest.mark.row("X6")
async def test_each_endpoint_gets_what_its_filter_lets_through_and_letters_go_to_nobody(world: World) -> None:
    async with receiver() as everything, receiver() as money:
        await world.add(everything.url)
        await world.add(money.url, "payment.failed", "balance.exhausted")
        failed = PaymentFailed(ADA, "in_1", 900, "usd", declined=True)
        await world.happen(PlanChanged(ADA, "free", "starter", 1), failed, created())
        await world.work()
        assert sorted(everything.types) == ["customer.created", "customer.plan.changed", "payment.failed"]
        assert money.types == ["payment.failed"]
        assert money.received[0].event["data"] == {
            "customer": None, "external_id": None, "invoice": "in_1", "payment": None, "amount_minor": 900,
            "currency": "usd", "declined": True,
        }  # fmt: skip


async def test_nothing_is_kept_for_nobody_and_what_is_spread_is_spread_once(world: World) -> None:
    await world.happen()
    await world.work()
    async with receiver() as shop:
        endpoint, _ = await world.add(shop.url)
        await world.happen()
        await world.spread()
        async with world.store.transaction() as tx:  # as if the mark had been lost
            await tx.execute(Sql("update outbox set done_at = null, claim = null, claimed_until = null"))
        await world.work()
        assert len(await world.deliveries(endpoint)) == 2, "the first is told now, and the second not twice"
        assert len(set(shop.ids)) == len(shop.ids) == 2


@pytest.mark.row("X6")
async def test_a_receiver_that_fails_is_asked_again_for_three_days_and_then_disabled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_clock(monkeypatch, world)
    async with receiver() as shop:
        shop.status = 507
        endpoint, shop.secret = await world.add(shop.url)
        (identifier,) = await world.happen()
        await world.work()
        begun = world.now
        for number, pause in enumerate(PAUSES_MS, 1):
            (delivery,) = await world.deliveries(endpoint)
            assert (delivery.status, delivery.attempts, delivery.error) == ("waiting", number, "answered 507")
            world.later(pause - 3 * SECOND if pause > 3 * SECOND else 0)
            await world.deliver()
            assert len(shop.received) == number, "not before its time"
            world.later(3 * SECOND + 1)
            await world.deliver()
        assert shop.ids == [identifier] * 10
        assert len({one.body for one in shop.received}) == 1
        assert 3 * DAY < world.now - begun < 3 * DAY + 5 * HOUR
    (delivery,) = await world.deliveries(endpoint)
    assert (delivery.status, delivery.attempts) == ("failed", 10)
    found = await world.endpoint(endpoint)
    assert found.disabled_why == "nothing was answered for three days; at last: answered 507"
    (alert,) = await world.alerts()
    assert (alert["key"], alert["severity"]) == (f"hook_disabled:{endpoint.id}", "high")
    assert f"tollhouse hooks enable {endpoint.id}" in alert["fix"]


@pytest.mark.row("X6")
async def test_a_receiver_that_comes_back_gets_what_waited_and_is_not_disabled(world: World) -> None:
    async with receiver() as shop:
        shop.status = 503
        endpoint, _ = await world.add(shop.url)
        (first,) = await world.happen()
        await world.work()
        assert (await world.endpoint(endpoint)).failing_since is not None
        for pause in PAUSES_MS[:8]:
            world.later(pause + SECOND)
            await world.deliver()
        shop.status = 204
        world.later(PAUSES_MS[8] + SECOND)
        await world.deliver()
    (delivery,) = await world.deliveries(endpoint)
    assert (delivery.event, delivery.status, delivery.attempts) == (first, "delivered", 10)
    found = await world.endpoint(endpoint)
    assert (found.enabled, found.failing_since) == (True, None)
    assert await world.alerts() == []


@pytest.mark.row("X6")
async def test_one_event_that_is_never_taken_is_given_up_and_told_while_others_go_on(world: World) -> None:
    async with receiver() as shop:
        endpoint, _ = await world.add(shop.url)
        shop.status = 422
        await world.happen()
        await world.work()
        for pause in PAUSES_MS:
            shop.status = 200
            await world.happen()
            await world.work()
            shop.status = 422
            world.later(pause + SECOND)
            await world.deliver()
    assert (await world.endpoint(endpoint)).enabled
    assert [one.status for one in await world.deliveries(endpoint)].count("failed") == 1
    (alert,) = await world.alerts()
    assert (alert["severity"], alert["key"].split(":")[:2]) == ("medium", ["hook_failed", endpoint.id])


@pytest.mark.row("X6")
async def test_who_answers_that_it_is_gone_is_disabled_at_once_and_may_be_enabled_and_replayed(world: World) -> None:
    async with receiver() as shop:
        shop.status = 410
        endpoint, _ = await world.add(shop.url)
        (first,) = await world.happen()
        await world.work()
        assert (await world.endpoint(endpoint)).disabled_why == "it answered 410: nothing is to be sent there any more"
        assert len(await world.alerts()) == 1
        (missed,) = await world.happen()
        await world.work()
        assert {one.event: one.status for one in await world.deliveries(endpoint)} == {
            first: "failed",
            missed: "failed",
        }
        async with world.store.transaction() as tx:
            with pytest.raises(Conflict, match="is disabled"):
                await actions.replay_failed(tx, endpoint.id, 0, world.now)
        shop.status = 200
        async with world.store.transaction() as tx:
            assert (await actions.enable_endpoint(tx, endpoint.id)).missed == 2
            assert await actions.replay_failed(tx, endpoint.id, 0, world.now) == 2
        await world.deliver()
        assert sorted(shop.ids) == sorted([first, first, missed])
        assert len(await world.deliveries(endpoint, "delivered")) == 2


@pytest.mark.row("X6")
async def test_one_is_replayed_or_all_that_failed_since_a_time(world: World) -> None:
    async with receiver() as shop:
        endpoint, _ = await world.add(shop.url)
        (old,) = await world.happen()
        await world.work()
        async with world.store.transaction() as tx:
            await tx.execute(Sql("update hook_delivery set status = 'failed'"))
        world.later(DAY)
        since = world.now
        (new,) = await world.happen()
        await world.work()
        async with world.store.transaction() as tx:
            await tx.execute(Sql("update hook_delivery set status = 'failed'"))
            assert await actions.replay_failed(tx, endpoint.id, since, world.now) == 1
        await world.deliver()
        async with world.store.transaction() as tx:
            await actions.replay_delivery(tx, endpoint.id, new, world.now)  # also one that was delivered
            with pytest.raises(NotFound, match="kept for 30 days"):
                await actions.replay_delivery(tx, endpoint.id, old.replace("evt", "hke"), world.now)
        await world.deliver()
        assert shop.ids == [old, new, new, new]
        shop.status = 500
        (waits,) = await world.happen()
        await world.work()
        shop.status = 200
        async with world.store.transaction() as tx:  # what waits for its next attempt need not wait any longer
            assert await actions.replay_failed(tx, endpoint.id, since, world.now) == 1
        await world.deliver()
        assert shop.ids[-2:] == [waits, waits]


@pytest.mark.row("X6")
async def test_while_a_secret_is_rotated_both_verify_and_afterwards_the_new_one_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_clock(monkeypatch, world)
    async with receiver() as shop:
        endpoint, old = await world.add(shop.url)
        async with world.store.transaction() as tx:
            new = (await actions.rotate_secret(tx, world.vault, endpoint.id, overlap_ms=DAY, now=world.now)).secret
        await world.happen()
        await world.work()
        assert shop.verified(old) == shop.verified(new)
        assert shop.received[0].headers["webhook-signature"].count("v1,") == 2
        world.later(DAY + SECOND)
        shop.received.clear()
        await world.happen()
        await world.work()
        shop.verified(new)
        with pytest.raises(WebhookVerificationError):
            shop.verified(old)
        async with world.store.transaction() as tx:
            last = (await actions.rotate_secret(tx, world.vault, endpoint.id, overlap_ms=0, now=world.now)).secret
        shop.received.clear()
        await world.happen()
        await world.work()
        shop.verified(last)
        assert shop.received[0].headers["webhook-signature"].count("v1,") == 1


async def test_secrets_are_kept_sealed_and_another_session_secret_is_told(world: World) -> None:
    async with receiver() as shop:
        endpoint, secret = await world.add(shop.url)
        async with world.store.reading() as tx:
            (row,) = await tx.fetch(Sql("select * from hook_endpoint"))
            assert secret not in str([row[name] for name in row.keys()])  # noqa: SIM118
        world.deliverer._vault = Vault("another secret of more than 32 bytes")
        await world.happen()
        await world.work()
        assert shop.received == []
    (delivery,) = await world.deliveries(endpoint)
    assert delivery.error is not None
    assert f"tollhouse hooks rotate {endpoint.id} --overlap 0s" in delivery.error


async def test_an_endpoint_that_is_removed_takes_everything_along(world: World) -> None:
    async with receiver() as shop:
        endpoint, _ = await world.add(shop.url)
        await world.happen()
        await world.work()
        await world.happen()
        await world.spread()
        async with world.store.transaction() as tx:
            await actions.remove_endpoint(tx, endpoint.id)
        await world.deliver()
        assert len(shop.received) == 1
    async with world.store.reading() as tx:
        for table in ("hook_endpoint", "hook_delivery", "hook_attempt"):
            assert await tx.fetch(Sql(f"select * from {table}")) == []


async def test_a_test_goes_to_its_endpoint_whatever_the_filter(world: World) -> None:
    async with receiver() as shop, receiver() as other:
        endpoint, secret = await world.add(shop.url, "payment.failed")
        await world.add(other.url)
        async with world.store.transaction() as tx:
            event = await actions.put_test(tx, endpoint.id, world.now)
        answer = await world.deliverer.deliver_one(endpoint.id, event)
        assert answer is not None
        assert (answer.status, answer.body) == (200, "thanks")
        assert [said["type"] for said in shop.verified(secret)] == ["hook.test"]
        await world.deliver()
        assert (len(shop.received), other.received) == (1, [])


async def test_what_is_old_is_forgotten(world: World) -> None:
    async with receiver() as shop:
        endpoint, _ = await world.add(shop.url)
        await world.happen()
        await world.work()
        world.later(KEPT_MS - DAY)
        (young,) = await world.happen()
        await world.work()
        world.later(2 * DAY)
        async with world.store.transaction() as tx:
            assert await actions.forget_old(tx, world.now) == 1
        assert [one.event for one in await world.deliveries(endpoint)] == [young]
        async with world.store.reading() as tx:
            assert len(await tx.fetch(Sql("select * from hook_attempt"))) == 1


async def test_what_cannot_be_added_is_said_with_its_fix(world: World) -> None:
    await world.add("http://one.example/hooks")
    with pytest.raises(Conflict, match="has this address already"):
        await world.add("http://one.example/hooks")
    with pytest.raises(InvalidRequest, match=r"there is no event 'payment.lost'.*payment.failed"):
        await world.add("http://two.example/hooks", "payment.lost")
    for number in range(31):
        await world.add(f"http://many.example/{number}", *EVENTS)
    with pytest.raises(Conflict, match="32 endpoints already"):
        await world.add("http://two.example/hooks")
    async with world.store.transaction() as tx:
        with pytest.raises(InvalidRequest, match="is not encrypted"):
            await actions.add_endpoint(
                tx, world.vault, Reach(), "http://a.example", events=(), description="", by_whom="x", now=1
            )
        with pytest.raises(NotFound, match="there is no endpoint"):
            await actions.read_endpoint(tx, "hke_nothing")


def test_pauses_grow_by_the_stated_schedule_and_a_tenth_at_most_is_added() -> None:
    assert [pause_ms(number, 0.0) for number in range(1, 11)] == [*PAUSES_MS, None]
    assert [pause_ms(number, 0.999) for number in range(1, 10)] == [round(p * 1.0999) for p in PAUSES_MS]
    assert 3 * DAY < sum(PAUSES_MS) < 3 * DAY + 4 * HOUR


async def test_letters_that_wait_for_a_mail_server_hold_up_no_webhook(world: World) -> None:
    async with receiver() as shop:
        await world.add(shop.url)
        hangs = asyncio.Event()

        async def slow(item: Outgoing) -> None:
            await hangs.wait()

        await world.happen(MailRequested("welcome", "ada@example.com", "en", {}), created())
        letters = asyncio.create_task(deliver_once(world.store, slow, "letters"))
        await asyncio.sleep(0.05)
        await world.work()
        assert shop.types == ["customer.created"]
        hangs.set()
        assert await letters is False


async def test_an_event_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    async with receiver() as shop:
        await world.add(shop.url)
        first, broken, last = [(await world.happen())[0] for _ in range(3)]
        async with world.store.transaction() as tx:
            await tx.execute(Sql("update outbox set payload = '{}' where id = :id"), id=broken)
        await world.work()
        assert sorted(shop.ids) == sorted([first, last])
        async with world.store.reading() as tx:
            rows = await tx.fetch(Sql("select id, attempts, error from outbox where done_at is null"))
        assert [(row["id"], row["attempts"]) for row in rows] == [(broken, 1)]
