"""The mail inbox: an SMTP server that delivers to nobody but the `/mail` page."""

import asyncio
import base64
import email
import email.policy
import re
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World

_LINK = re.compile(r"https?://[^\s<>\"')\]]+")
_MAX_BYTES = 10_000_000


class MailServer:
    """A listening SMTP server."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.port: int = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening."""
        self._server.close()
        await self._server.wait_closed()


class _Inbox:
    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        keep(self._world, content, envelope.mail_from or "", list(envelope.rcpt_tos))
        self._world.store.save()
        return "250 Message accepted for delivery"


async def start_mail(world: World, host: str, port: int) -> MailServer:
    """Listens for mail; port 0 takes any free one."""
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(_Inbox(world), hostname="sandbox", enable_SMTPUTF8=True, data_size_limit=_MAX_BYTES, loop=loop)

    return MailServer(await loop.create_server(protocol, host, port))


def keep(world: World, content: bytes, sender: str, recipients: list[str]) -> Doc:
    """Keeps one message as it was sent: subject, both parts, the links in them, what is attached."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    text, html = _part(message, "plain"), _part(message, "html")
    links = list(dict.fromkeys(_LINK.findall(text) + _LINK.findall(html.replace("&amp;", "&"))))
    return world.store.put(
        "mail",
        {
            "id": new_id("mail"),
            "created": world.clock.now(),
            "from": str(message["From"] or sender),
            "to": recipients,
            "subject": str(message["Subject"] or ""),
            "text": text,
            "html": html,
            "links": links,
            "files": [_file(part) for part in message.iter_attachments()] if message.is_multipart() else [],
        },
    )


def _file(part: EmailMessage) -> Doc:
    """What is attached, as base64."""
    content = part.get_payload(decode=True)
    return {
        "name": part.get_filename() or "file",
        "type": part.get_content_type(),
        "content": base64.b64encode(content if isinstance(content, bytes) else b"").decode(),
    }


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    content = part.get_content()
    return content if isinstance(content, str) else ""
