"""What to tell whom: each fact of the outbox that concerns a person goes out on its channel."""

import msgspec
import structlog

from tollhouse.alerts.channels.email import Mailer, Sender, render
from tollhouse.alerts.channels.email.rendering import sender_of
from tollhouse.alerts.channels.email.transport import NOT_CONFIGURED
from tollhouse.kernel.facts import MailRequested, OperatorAlert
from tollhouse.settings import Settings
from tollhouse.store import Tx, outbox
from tollhouse.store.outbox import Outgoing

STAFF_PATH = "/admin"

log = structlog.get_logger(__name__)

_decode_mail = msgspec.json.Decoder(MailRequested).decode
_decode_alert = msgspec.json.Decoder(OperatorAlert).decode


class Messenger(msgspec.Struct, frozen=True):
    """Who writes, through which server, and whom staff alerts go to."""

    sender: Sender
    mailer: Mailer
    environment: str
    locale: str
    staff_url: str
    alert_email: str | None


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
    )


async def deliver(messenger: Messenger, item: Outgoing) -> None:
    """Tell what this fact asks to be told; facts that concern nobody yet are delivered by doing nothing.

    Raises ConfigurationError without SMTP_URL, Undeliverable or Unavailable as the mail server answers.
    """
    if item.fact == "mail.requested":
        mail = _decode_mail(item.payload)
        await _send(messenger, item, mail.template, mail.to, mail.locale, mail.values)
    elif item.fact == "operator.alert":
        await _alert(messenger, item, _decode_alert(item.payload))


async def _alert(messenger: Messenger, item: Outgoing, alert: OperatorAlert) -> None:
    log.error(
        "operator.alert", key=alert.key, severity=alert.severity, title=alert.title, detail=alert.detail, fix=alert.fix
    )
    if messenger.alert_email is None:
        return
    values = {
        "title": alert.title,
        "detail": alert.detail,
        "fix": alert.fix,
        "environment": messenger.environment,
        "url": messenger.staff_url,
    }
    await _send(messenger, item, "operator_alert", messenger.alert_email, messenger.locale, values)


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
