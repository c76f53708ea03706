"""Alerts as they are received: one letter for a hundred failures, one reminder, the end; by e-mail and signed webhook."""

from __future__ import annotations

import asyncio
import base64
import email.policy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.message import EmailMessage

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.postgres import free_port
from tollhouse.alerts.actions import Messenger, deliver, watch_and_tell
from tollhouse.alerts.channels.email import Mailer, Sender
from tollhouse.alerts.channels.webhook import Caller
from tollhouse.alerts.incidents import look, newest_alerts, write
from tollhouse.billing.counting import Tally
from tollhouse.kernel.clock import DAY, HOUR, MINUTE, SECOND
from tollhouse.kernel.facts import Fact, OperatorAlert, PaymentFailed
from tollhouse.settings import MonitoringSettings
from tollhouse.store import Sql, open_store, outbox
from tollhouse.store.opening import AnyStore
from tollhouse.worker.delivering import LEASE_MS, deliver_once, spread_once

SETTINGS = MonitoringSettings(HOUR, 10, 25, 5, 15, 6 * HOUR, None, None)
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ok!").decode()


class Postbox:
    """What arrives at a mail server that may be away (`refuse`)."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.refuse: str | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refuse:
            return self.refuse
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 taken"

    @property
    def subjects(self) -> list[str]:
        return [str(message["subject"]) for message in self.received]

    def text(self, number: int) -> str:
        plain = self.received[number].get_body(("plain",))
        assert plain is not None
        return str(plain.get_content())


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def staff(postbox: Postbox) -> Iterator[Messenger]:
    """Staff who read English, at an SMTP server of their own."""
    port = free_port()
    controller = Controller(postbox, hostname="127.0.0.1", port=port)
    controller.start()
    sender = Sender("AURION", "AURION <hello@aurion.app>")
    mailer = Mailer(f"smtp://127.0.0.1:{port}")
    try:
        yield Messenger(sender, mailer, "staging", "en", "https://aurion.app/admin", "staff@aurion.app", None, SETTINGS)
    finally:
        controller.stop()


@pytest.fixture
async def store(schema_url: str) -> AsyncIterator[AnyStore]:
    opened = await open_store(schema_url)
    yield opened
    await opened.close()


async def put(store: AnyStore, *facts: Fact) -> None:
    async with store.transaction() as tx:
        for fact in facts:
            await outbox.put(tx, fact, now=store.clock.now_ms())


async def work(store: AnyStore, staff: Messenger, later_ms: int = 0) -> None:
    """Time passes; the worker delivers, watches, tells, delivers."""
    store.clock.test_offset_ms += later_ms
    for _ in range(2):
        await deliver_all(store, staff)
        await watch_and_tell(store, staff)
    await deliver_all(store, staff)


async def deliver_all(store: AnyStore, staff: Messenger) -> None:
    async def hand(item: outbox.Outgoing) -> outbox.Finish | None:
        return await deliver(store, staff, item)

    while await spread_once(store, hand, asyncio.Event()) or await deliver_once(store, hand):
        pass


def broken(key: str, severity: str = "high") -> OperatorAlert:
    return OperatorAlert(key, severity, f"Broken {key}", "It does not work.", "Mend it.")


@pytest.mark.row("U7")
async def test_a_hundred_failures_are_one_letter(store: AnyStore, staff: Messenger, postbox: Postbox) -> None:
    await put(store, *[PaymentFailed("cus_1", f"in_{number}", 900, "usd", declined=True) for number in range(100)])
    await work(store, staff)
    assert postbox.received == []  # others may join it
    await work(store, staff, 11 * SECOND)
    assert postbox.subjects == ["[AURION, staging] high: Payments of customers fail"]
    assert "(× 100)" in postbox.text(0)
    assert "Nothing is broken here" in postbox.text(0)
    assert "9.00 USD" in postbox.text(0)
    await put(store, PaymentFailed("cus_1", "in_x", 900, "usd", declined=True))
    await work(store, staff, MINUTE)
    assert len(postbox.received) == 1


@pytest.mark.row("U14")
async def test_no_letter_and_no_call_holds_a_secret(store: AnyStore, staff: Messenger, postbox: Postbox) -> None:
    key, card = "sk_test" + "_51AbCdEfGhIjKl", "4242 4242 4242 4242"
    said = f"Stripe refused {key} for {card} (password='quatre mots')"
    await put(store, OperatorAlert("x", "critical", said, said, said))
    await work(store, staff)
    await work(store, staff, 11 * SECOND)
    async with store.reading() as tx:
        (kept,) = await newest_alerts(tx)
    shown = str(postbox.received[0]["subject"]) + postbox.text(0) + repr(kept)
    assert "Stripe refused" in shown
    for secret in (key, card, "quatre mots"):
        assert secret not in shown


@pytest.mark.row("U7")
async def test_what_opens_together_is_told_together_the_worst_first(
    store: AnyStore, staff: Messenger, postbox: Postbox
) -> None:
    await put(store, broken("a", "medium"), broken("b"), broken("c", "medium"))
    await work(store, staff)
    await work(store, staff, 11 * SECOND)
    assert postbox.subjects == ["[AURION, staging] high: Broken b (+ 2)"]
    assert all(f"Broken {key}" in postbox.text(0) for key in "abc")

    await put(store, broken("d"))
    await work(store, staff, 11 * SECOND)
    assert len(postbox.received) == 1  # the next letter waits its five minutes
    await work(store, staff, 5 * MINUTE)
    assert postbox.subjects[1:] == ["[AURION, staging] high: Broken d"]


@pytest.mark.row("U7")
async def test_a_failed_webhook_is_medium_and_waits_a_minute(
    store: AnyStore, staff: Messenger, postbox: Postbox
) -> None:
    await put(store, broken("pack_not_granted:x", "medium"))
    await work(store, staff)
    await work(store, staff, 30 * SECOND)
    assert postbox.received == []
    await work(store, staff, 31 * SECOND)
    assert postbox.subjects == ["[AURION, staging] medium: Broken pack_not_granted:x"]


@pytest.mark.row("U7")
async def test_there_is_one_reminder_and_then_the_end(store: AnyStore, staff: Messenger, postbox: Postbox) -> None:
    await put(store, broken("custom"))
    await work(store, staff)
    await work(store, staff, 11 * SECOND)
    await work(store, staff, 6 * HOUR)
    await work(store, staff, 6 * HOUR)
    assert [subject.split("] ")[1] for subject in postbox.subjects] == ["high: Broken custom", "still: Broken custom"]
    await work(store, staff, DAY)
    assert postbox.subjects[-1] == "[AURION, staging] over: Broken custom"
    await work(store, staff, DAY)
    assert len(postbox.received) == 3


@pytest.mark.row("U6", "U7")
async def test_the_health_opens_an_alert_and_ends_it(store: AnyStore, staff: Messenger, postbox: Postbox) -> None:
    tally = Tally()
    tally.add("payment_failed", store.clock.now_ms())
    async with store.transaction() as tx:
        await tally.write(tx)
    await work(store, staff)
    assert postbox.received == []  # what caused it may be on its way
    await work(store, staff, 11 * SECOND)
    assert postbox.subjects == ["[AURION, staging] critical: Payments are critical"]
    assert "https://aurion.app/admin/webhooks" not in postbox.text(0)
    await work(store, staff, MINUTE)
    async with store.reading() as tx:
        (alert,) = await newest_alerts(tx)
    assert (alert.happened, alert.ended_at) == (1, None)
    await work(store, staff, 2 * HOUR)
    assert postbox.subjects[1:] == ["[AURION, staging] over: Payments are critical"]


@pytest.mark.row("U6", "U7")
async def test_the_first_letter_names_what_made_the_health_critical(
    store: AnyStore, staff: Messenger, postbox: Postbox
) -> None:
    tally, now = Tally(), store.clock.now_ms()
    tally.add("webhook_refused", now)
    tally.add("webhook_failed", now)
    tally.add("signature_refused", now)
    async with store.transaction() as tx:
        await tally.write(tx)
    await watch_and_tell(store, staff)  # the health is seen before the outbox is emptied
    await put(store, broken("webhook_signature"))
    await work(store, staff, 2 * SECOND)
    assert postbox.received == []
    await work(store, staff, 9 * SECOND)
    assert postbox.subjects == ["[AURION, staging] critical: Payments are critical (+ 1)"]
    assert "Mend it." in postbox.text(0)
    assert "https://aurion.app/admin/webhooks" in postbox.text(0)


@pytest.mark.row("U7")
async def test_watching_takes_the_writers_turn_only_where_something_changes(
    store: AnyStore, staff: Messenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()
    tally.add("payment_failed", store.clock.now_ms())
    async with store.transaction() as tx:
        await tally.write(tx)
    await put(store, broken("custom"), broken("unmapped_price:price_1"), broken("inbox_parked:cus_1"))
    await work(store, staff)
    await work(store, staff, 11 * SECOND)
    written = 0
    transaction = type(store).transaction

    def counted(self: AnyStore) -> object:
        nonlocal written
        written += 1
        return transaction(self)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store), "transaction", counted)
    for _ in range(3):
        assert await watch_and_tell(store, staff) == 0
    assert written == 0
    store.clock.test_offset_ms += 6 * HOUR  # the reminders are due, and the health is good again
    assert await watch_and_tell(store, staff) > 0
    assert written > 0


async def test_what_happens_again_while_it_is_judged_over_goes_on(store: AnyStore, staff: Messenger) -> None:
    await put(store, broken("inbox_parked:cus_1"))
    await deliver_all(store, staff)
    async with store.reading() as tx:
        changes = await look(tx, None, store.clock.now_ms())
    assert [found.key for found in changes.over] == ["inbox_parked:cus_1"]
    await put(store, broken("inbox_parked:cus_1"))
    await deliver_all(store, staff)
    async with store.transaction() as tx:
        await write(tx, changes, store.clock.now_ms())
        (alert,) = await newest_alerts(tx)
    assert (alert.happened, alert.ended_at) == (2, None)


async def test_what_is_over_before_it_was_told_is_never_told(
    store: AnyStore, staff: Messenger, postbox: Postbox
) -> None:
    await put(store, broken("inbox_parked:cus_x", "medium"))
    await work(store, staff)
    await work(store, staff, HOUR)
    assert postbox.received == []  # nothing of cus_x is parked (any more)


@pytest.mark.row("U7")
async def test_a_mail_server_that_is_away_for_a_night_gets_the_letter_in_the_morning(
    store: AnyStore, staff: Messenger, postbox: Postbox
) -> None:
    postbox.refuse = "451 later, please"
    await put(store, broken("custom"))
    for _ in range(40):
        await work(store, staff, 15 * MINUTE)
    assert postbox.received == []
    postbox.refuse = None
    await work(store, staff, HOUR)
    assert "[AURION, staging] high: Broken custom" in postbox.subjects
    identifiers = [message["message-id"] for message in postbox.received]
    assert len(set(identifiers)) == len(identifiers)


@pytest.mark.parametrize("facts", [
    (broken("custom"), broken("custom")),
    tuple(PaymentFailed("cus_1", f"in_{number}", 900, "usd", declined=True) for number in range(2)),
])  # fmt: skip
async def test_facts_that_two_workers_deliver_count_once_each(
    store: AnyStore, staff: Messenger, facts: tuple[Fact, ...]
) -> None:
    await put(store, *facts)
    overtaken = False

    async def slow(item: outbox.Outgoing) -> outbox.Finish | None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            store.clock.test_offset_ms += LEASE_MS + 1
            await deliver_all(store, staff)
        return await deliver(store, staff, item)

    await spread_once(store, slow, asyncio.Event())
    await deliver_once(store, slow)
    async with store.reading() as tx:
        assert (overtaken, [alert.happened for alert in await newest_alerts(tx)]) == (True, [2])


@asynccontextmanager
async def receiver(statuses: list[int]) -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Somebody who takes webhooks, answering these statuses one after another and then 204."""
    taken: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=statuses.pop(0) if statuses else 204)

    application = web.Application()
    application.router.add_post("/alerts", take)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/alerts", taken
    finally:
        await runner.cleanup()


async def test_the_webhook_is_signed_by_the_convention_and_tried_again(store: AnyStore, staff: Messenger) -> None:
    async with receiver([500]) as (url, taken):
        caller = Caller(url, SECRET)
        by_webhook = Messenger(
            staff.sender, staff.mailer, "staging", "en", staff.staff_url, None, caller, SETTINGS
        )  # fmt: skip
        await put(store, broken("custom"))
        await work(store, by_webhook)
        await work(store, by_webhook, 11 * SECOND)
        await work(store, by_webhook, MINUTE)
    (first, _), (headers, body) = taken
    assert first["webhook-id"] == headers["webhook-id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"a secret of thirty-two bytes ok!", signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    told = json.loads(body)
    assert (told["type"], told["data"]["environment"]) == ("alert.opened", "staging")
    assert [(alert["key"], alert["fix"]) for alert in told["data"]["alerts"]] == [("custom", "Mend it.")]


async def test_an_address_where_nobody_listens_is_told_with_its_fix(store: AnyStore, staff: Messenger) -> None:
    async with receiver([404, 410]) as (url, taken):
        by_webhook = Messenger(
            staff.sender, staff.mailer, "staging", "en", staff.staff_url, None, Caller(url, SECRET), SETTINGS
        )  # fmt: skip
        await put(store, broken("custom"))
        await work(store, by_webhook)
        await work(store, by_webhook, 11 * SECOND)
        async with store.reading() as tx:
            (kept,) = await tx.fetch(Sql("select error, parked_at from outbox where fact = 'alert.told'"))
        for _ in range(2):
            await work(store, by_webhook, MINUTE)
        assert len({headers["webhook-id"] for headers, _ in taken}) == 1  # it comes once the receiver is back
        assert len(taken) == 3
    assert kept["parked_at"] is None
    assert "nothing receives alerts there (404)" in str(kept["error"])
    assert "check ALERT_WEBHOOK_URL" in str(kept["error"])
