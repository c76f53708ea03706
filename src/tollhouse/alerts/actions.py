"""What to tell whom: each fact of the outbox that concerns a person goes out on its channel."""

import msgspec
import structlog

from tollhouse.alerts.channels.email import Mailer, Sender, render
from tollhouse.alerts.channels.email.rendering import sender_of
from tollhouse.alerts.channels.email.transport import NOT_CONFIGURED
from tollhouse.alerts.channels.webhook import Caller
from tollhouse.alerts.incidents import declined, look, open_alert, write
from tollhouse.alerts.telling import Readers, any_to_tell, tell
from tollhouse.billing.health import read_health
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.facts import AlertTold, MailRequested, OperatorAlert, PaymentFailed
from tollhouse.settings import MonitoringSettings, Settings
from tollhouse.store import Store, Tx, outbox
from tollhouse.store.outbox import Finish, Outgoing

STAFF_PATH = "/admin"

log = structlog.get_logger(__name__)

_decode_mail = msgspec.json.Decoder(MailRequested).decode
_decode_alert = msgspec.json.Decoder(OperatorAlert).decode
_decode_failed = msgspec.json.Decoder(PaymentFailed).decode
_decode_told = msgspec.json.Decoder(AlertTold).decode


class Messenger(msgspec.Struct, frozen=True):
    """Who writes, through which server, and whom staff alerts go to."""

    sender: Sender
    mailer: Mailer
    environment: str
    locale: str
    staff_url: str
    alert_email: str | None
    caller: Caller | None = None
    watching: MonitoringSettings | None = None  # none: nothing is watched

    @property
    def readers(self) -> Readers:
        """Who is told of alerts."""
        return Readers(self.alert_email, self.locale, self.environment, self.staff_url, self.caller is not None)


def open_messenger(settings: Settings, product: str, locale: str) -> Messenger:
    """The messenger of an installation. `locale` is the product's own language, in which staff are written to."""
    smtp_url = settings.mail.smtp_url
    stripe = settings.stripe
    return Messenger(
        sender_of(product, settings.mail.mail_from, settings.url),
        Mailer(smtp_url.reveal() if smtp_url is not None else None),
        settings.environment,
        locale,
        settings.url.rstrip("/") + STAFF_PATH,
        stripe.alert_email if stripe.monitoring_enabled else None,
        _caller(settings) if stripe.monitoring_enabled else None,
        settings.monitoring if stripe.monitoring_enabled else None,
    )


def _caller(settings: Settings) -> Caller | None:
    url, secret = settings.monitoring.webhook_url, settings.monitoring.webhook_secret
    return Caller(url, secret.reveal()) if url is not None and secret is not None else None


async def deliver(store: Store, messenger: Messenger, item: Outgoing) -> Finish | None:
    """Do what this fact asks: send it, or count it among the alerts (with its end). Facts that concern nobody yet are
    delivered by doing nothing.

    Raises ConfigurationError without SMTP_URL, Undeliverable or Unavailable as the mail server answers.
    """
    if item.fact == "mail.requested":
        mail = _decode_mail(item.payload)
        await _send(messenger, item, mail.template, mail.to, mail.locale, mail.values)
    elif item.fact == "operator.alert":
        return _opening(store, _decode_alert(item.payload), item.id)
    elif item.fact == "payment.failed":
        return _opening(store, declined(_decode_failed(item.payload)), item.id)
    elif item.fact == "alert.told" and messenger.caller is not None:
        await messenger.caller.send(item.id, _document(messenger, item), store.clock.now_ms())
    return None


def _opening(store: Store, alert: OperatorAlert, fact: str) -> Finish:
    async def finish(tx: Tx) -> None:
        log.error(
            "operator.alert",
            key=alert.key,
            severity=alert.severity,
            title=alert.title,
            detail=alert.detail,
            fix=alert.fix,
        )
        await open_alert(tx, alert, fact, store.clock.now_ms())

    return finish


def _document(messenger: Messenger, item: Outgoing) -> bytes:
    told = _decode_told(item.payload)
    data = {
        "product": messenger.sender.product,
        "environment": messenger.environment,
        "url": messenger.staff_url,
        "alerts": told.alerts,
    }
    return msgspec.json.encode({"type": f"alert.{told.kind}", "timestamp": rfc3339(item.created_at), "data": data})


async def watch_and_tell(store: Store, messenger: Messenger) -> int:
    """Open and end alerts as things stand, and tell what there is to tell. The number of alerts told now.

    It comes every few seconds, so it only reads, and takes the writer's turn where something changes.
    """
    now = store.clock.now_ms()
    watching = messenger.watching
    async with store.reading() as tx:
        changes = await look(tx, await read_health(tx, watching, now) if watching is not None else None, now)
    if changes:
        async with store.transaction() as tx:
            await write(tx, changes, now)
    if watching is None:
        return 0
    async with store.reading() as tx:
        if not await any_to_tell(tx, watching.remind_after_ms, now):
            return 0
    async with store.transaction() as tx:
        return await tell(tx, messenger.readers, watching.remind_after_ms, now)


async def _send(
    messenger: Messenger, item: Outgoing, template: str, to: str, locale: str, values: dict[str, str]
) -> None:
    message = render(
        messenger.sender, template, to=to, locale=locale, values=values, identifier=item.id, at_ms=item.created_at
    )
    await messenger.mailer.send(message)
    log.info("mail.sent", id=item.id, template=template)


async def send_what_waited(tx: Tx, messenger: Messenger, now: int) -> int:
    """Once SMTP_URL is there: what was kept for want of it goes out. How many messages."""
    if not messenger.mailer.configured:
        return 0
    return await outbox.replay_parked(tx, NOT_CONFIGURED, now)
