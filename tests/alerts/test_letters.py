"""E-mails as they are received: by a real SMTP server, in the reader's language, once."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

import tollhouse.store.tables  # noqa: F401 (adds its tables to the metadata)
from tests.support.postgres import free_port
from tollhouse.alerts.actions import Messenger, deliver, send_what_waited
from tollhouse.alerts.channels.email import Mailer, Sender, letter
from tollhouse.alerts.channels.email.letters import LETTERS
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.facts import Fact, MailRequested
from tollhouse.store import Sql, metadata, open_store, outbox
from tollhouse.store.opening import AnyStore
from tollhouse.store.schema import on_connection
from tollhouse.worker.delivering import deliver_once

LINK = {"url": "https://aurion.app/verify?token=abc-DEF_123", "name": "Ada", "expires_hours": "48", "product": "AURION"}


class Postbox:
    """What arrives at the mail server; `refuse` is what it answers instead of taking a message."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.refuse: str | None = None
        self.refuse_sender: str | None = None
        self.refuse_recipient: str | None = None

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.refuse_sender or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.refuse_recipient or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refuse is not None:
            return self.refuse
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 taken"


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def smtp_url(postbox: Postbox) -> Iterator[str]:
    port = free_port()
    controller = Controller(postbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        controller.stop()


@pytest.fixture
def tables(database_url: str) -> str:
    on_connection(database_url, lambda connection: metadata.create_all(connection, [metadata.tables["outbox"]]))
    return database_url


@pytest.fixture
async def store(tables: str) -> AsyncIterator[AnyStore]:
    opened = await open_store(tables)
    yield opened
    await opened.close()


def messenger(smtp_url: str | None) -> Messenger:
    sender = Sender("AURION", "AURION <hello@aurion.app>")
    return Messenger(sender, Mailer(smtp_url), "staging", "fr", "https://aurion.app/admin", None)


async def put(store: AnyStore, *facts: Fact) -> None:
    async with store.transaction() as tx:
        for fact in facts:
            await outbox.put(tx, fact, now=store.clock.now_ms())


async def post(store: AnyStore, by: Messenger) -> None:
    """The worker delivers everything that is due."""
    while await deliver_once(store, lambda item: deliver(store, by, item)):
        pass


async def waiting(store: AnyStore) -> list[tuple[int, bool]]:
    """(attempts, parked) of what is not delivered."""
    async with store.reading() as tx:
        rows = await tx.fetch(Sql("select attempts, parked_at from outbox where done_at is null order by id"))
    return [(row["attempts"], row["parked_at"] is not None) for row in rows]


def parts(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


@pytest.mark.parametrize(
    ("locale", "subject", "button"),
    [
        ("en", "Confirm your e-mail address for AURION", "Confirm my address"),
        ("fr", "Confirmez votre adresse e-mail pour AURION", "Confirmer mon adresse"),
        ("fr-CA", "Confirmez votre adresse e-mail pour AURION", "Confirmer mon adresse"),
        ("de", "Confirm your e-mail address for AURION", "Confirm my address"),
    ],
)
async def test_the_letter_comes_in_the_readers_language_with_a_plain_twin(
    store: AnyStore, postbox: Postbox, smtp_url: str, locale: str, subject: str, button: str
) -> None:
    await put(store, MailRequested("verify_email", "ada@example.com", locale, LINK))
    await post(store, messenger(smtp_url))

    (message,) = postbox.received
    assert (message["subject"], message["to"], message["from"]) == (
        subject,
        "ada@example.com",
        "AURION <hello@aurion.app>",
    )
    plain, html = parts(message)
    for text in (plain, html):
        assert button in text
        assert LINK["url"] in text
    assert "max-width:560px" in html
    assert await waiting(store) == []


async def test_values_cannot_write_html_or_headers(store: AnyStore, postbox: Postbox, smtp_url: str) -> None:
    nasty = {**LINK, "product": "<b>AURION</b>\r\nBcc: everybody@example.com"}
    await put(store, MailRequested("verify_email", "ada@example.com", "en", nasty))
    await post(store, messenger(smtp_url))

    (message,) = postbox.received
    assert message["bcc"] is None
    assert "<b>AURION" not in parts(message)[1]


async def test_sent_again_it_keeps_its_message_id(store: AnyStore, postbox: Postbox, smtp_url: str) -> None:
    await put(store, MailRequested("welcome", "ada@example.com", "en", LINK))
    async with store.transaction() as tx:
        (item,) = await outbox.claim(tx, store.clock.now_ms(), 60_000, "clm_that_died", 1)
    await deliver(store, messenger(smtp_url), item)  # and the worker died before it could say so
    await deliver(store, messenger(smtp_url), item)

    first, second = postbox.received
    assert first["message-id"] == second["message-id"]
    assert first["message-id"].endswith("@aurion.app>")


async def test_without_a_mail_server_letters_wait_and_go_out_once_there_is_one(
    store: AnyStore, postbox: Postbox, smtp_url: str
) -> None:
    await put(store, MailRequested("welcome", "ada@example.com", "en", LINK))
    await post(store, messenger(None))
    assert await waiting(store) == [(1, True)]
    async with store.reading() as tx:
        (kept,) = await tx.fetch(Sql("select error from outbox where parked_at is not null"))
    assert "SMTP_URL is not set" in str(kept["error"])

    async with store.transaction() as tx:
        assert await send_what_waited(tx, messenger(smtp_url), store.clock.now_ms()) == 1
    await post(store, messenger(smtp_url))
    assert [message["to"] for message in postbox.received] == ["ada@example.com"]


async def test_a_server_that_is_away_gets_the_letter_later(store: AnyStore, postbox: Postbox, smtp_url: str) -> None:
    await put(store, MailRequested("welcome", "ada@example.com", "en", LINK))
    await post(store, messenger("smtp://127.0.0.1:9"))
    postbox.refuse = "451 later, please"
    store.clock.test_offset_ms += 3_600_000
    await post(store, messenger(smtp_url))
    assert await waiting(store) == [(2, False)]

    postbox.refuse = None
    store.clock.test_offset_ms += 3_600_000
    await post(store, messenger(smtp_url))
    assert len(postbox.received) == 1


async def test_what_is_refused_for_good_is_set_aside(store: AnyStore, postbox: Postbox, smtp_url: str) -> None:
    postbox.refuse = "554 never"
    await put(store, MailRequested("welcome", "ada@example.com", "en", LINK))
    await post(store, messenger(smtp_url))
    assert await waiting(store) == [(1, True)]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ("refuse_sender", "refused the sender (550); fix: set MAIL_FROM"),
        ("refuse_recipient", "refused the recipient (550); fix: check the address"),
        ("refuse", "refused the message (550)"),
    ],
)
async def test_a_server_that_refuses_is_told_apart_with_the_fix(
    store: AnyStore, postbox: Postbox, smtp_url: str, refusal: str, told: str
) -> None:
    setattr(postbox, refusal, "550 no")
    await put(store, MailRequested("welcome", "ada@example.com", "en", LINK))
    await post(store, messenger(smtp_url))
    async with store.reading() as tx:
        (kept,) = await tx.fetch(Sql("select error from outbox where parked_at is not null"))
    assert told in str(kept["error"])


async def test_a_letter_that_never_goes_is_set_aside_after_three_days(store: AnyStore) -> None:
    await put(store, MailRequested("welcome", "ada@example.com", "en", LINK))
    for _ in range(80):
        await post(store, messenger("smtp://127.0.0.1:9"))
        store.clock.test_offset_ms += DAY
    assert await waiting(store) == [(80, True)]


def test_every_letter_is_written_in_both_languages() -> None:
    templates = {template for template, _ in LETTERS}
    assert {(template, locale) for template in templates for locale in ("en", "fr")} == set(LETTERS)
    for template in templates:
        assert letter(template, "en").paragraphs != letter(template, "fr").paragraphs


def test_a_missing_value_is_named() -> None:
    with pytest.raises(InvalidRequest, match="'expires_hours'"):
        letter("verify_email", "en").filled({"product": "AURION"})
