"""From a letter to a message: one column of 560 px, with a plain-text twin that says the same."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cache
from textwrap import fill
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tollhouse.alerts.channels.email.letters import Letter, letter

if TYPE_CHECKING:
    from jinja2 import Environment

WIDTH = 76


@cache
def _templates() -> "Environment":
    """Loaded with the first letter, so that `serve` starts without it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("tollhouse.alerts.channels.email"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Sender(msgspec.Struct, frozen=True):
    """Who writes: the product, and the address that the messages come from (`AURION <hello@example.com>`)."""

    product: str
    address: str

    @property
    def domain(self) -> str:
        """The domain of the address; it ends the Message-ID."""
        return parseaddr(self.address)[1].rpartition("@")[2] or "localhost"


class Attachment(msgspec.Struct, frozen=True):
    """A PDF that goes along, under this name."""

    name: str
    pdf: bytes


def sender_of(product: str, mail_from: str | None, url: str) -> Sender:
    """The configured sender, or in a local environment one that names the product."""
    return Sender(product, mail_from or f"{product} <noreply@{urlsplit(url).hostname or 'localhost'}>")


def render(
    sender: Sender,
    template: str,
    *,
    to: str,
    locale: str,
    values: Mapping[str, str],
    identifier: str,
    at_ms: int,
    attached: Attachment | None = None,
) -> EmailMessage:
    """The message of a template. The same identifier gives the same Message-ID, however often it is sent.

    Raises InvalidRequest for an unknown template or a value that is missing.
    """
    filled = letter(template, locale).filled({"product": sender.product, **values})
    url = values.get("url", "")
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = f"<{identifier}@{sender.domain}>"
    message["Date"] = format_datetime(datetime.fromtimestamp(at_ms / 1000, UTC))
    message["From"] = _address(sender.address)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = filled.subject
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_plain(filled, url, sender.product))
    html = (
        _templates()
        .get_template("letter.html")
        .render(letter=filled, url=url, product=sender.product, locale=locale.partition("-")[0] or "en")
    )
    message.add_alternative(html, subtype="html")
    if attached is not None:
        message.add_attachment(attached.pdf, maintype="application", subtype="pdf", filename=attached.name)
    return message


def _address(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(display_name=name, addr_spec=address)


def _plain(filled: Letter, url: str, product: str) -> str:
    parts = [filled.heading, *[fill(paragraph, WIDTH) for paragraph in filled.paragraphs]]
    if filled.button and url:
        parts.append(f"{filled.button}:\n{url}")
    if filled.small_print:
        parts.append(fill(filled.small_print, WIDTH))
    parts.append(f"-- \n{product}\n{fill(filled.reason, WIDTH)}")
    return "\n\n".join(parts) + "\n"
