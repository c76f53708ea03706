"""How e-mail leaves: SMTP by SMTP_URL. Without it nothing is sent and nothing is lost."""

from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

from tollhouse.kernel.errors import ConfigurationError, TollhouseError, Unavailable

TIMEOUT_SECONDS = 20.0
NOT_CONFIGURED = "SMTP_URL is not set"


class Undeliverable(TollhouseError):
    """The mail server refused the message for good: trying again will not help."""

    default_code = "mail_refused"


class Mailer:
    """One mail server, `smtp://user:password@host:port` (STARTTLS where offered) or `smtps://…`; None for no server."""

    def __init__(self, smtp_url: str | None) -> None:
        self.configured = smtp_url is not None
        parts = urlsplit(smtp_url or "smtp://")
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (465 if self._tls else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, message: EmailMessage) -> None:
        """Raises ConfigurationError without SMTP_URL, Undeliverable when refused for good, Unavailable otherwise."""
        if not self.configured:
            raise ConfigurationError(
                f"{NOT_CONFIGURED}: the e-mail is kept and not sent",
                code="mail_not_configured",
                setting="SMTP_URL",
                fix="set SMTP_URL and start again; what is kept goes out then",
            )
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                start_tls=False if self._tls else None,
                timeout=TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Unavailable(
                f"the mail server refused our name and password ({error.code})",
                code="mail_login_refused",
                setting="SMTP_URL",
                fix="check user and password in SMTP_URL",
            ) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({recipient.code for recipient in error.recipients})
            if codes and codes[0] >= 500:
                raise Undeliverable(
                    f"the mail server refused the recipient ({codes[0]})",
                    fix="check the address; for alerts it is STRIPE_ALERT_EMAIL",
                ) from error
            raise Unavailable(f"the mail server does not take the recipient now ({codes})") from error
        except aiosmtplib.SMTPSenderRefused as error:
            raise (Undeliverable if error.code >= 500 else Unavailable)(
                f"the mail server refused the sender ({error.code})",
                setting="MAIL_FROM",
                fix="set MAIL_FROM to an address that this server may send for",
            ) from error
        except aiosmtplib.SMTPResponseException as error:
            if error.code >= 500:
                raise Undeliverable(f"the mail server refused the message ({error.code})") from error
            raise Unavailable(f"the mail server does not take the message now ({error.code})") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unavailable(
                f"the mail server {self._host}:{self._port} cannot be reached: {type(error).__name__}",
                code="mail_unavailable",
                setting="SMTP_URL",
                fix="check host and port in SMTP_URL, and that the server runs",
            ) from error
