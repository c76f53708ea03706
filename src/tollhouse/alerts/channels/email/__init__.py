"""E-mail: what is written (`letters.py`), how it looks (`rendering.py`, `templates/`), how it leaves (`transport.py`)."""

from tollhouse.alerts.channels.email.letters import Letter, letter
from tollhouse.alerts.channels.email.rendering import Attachment, Sender, render
from tollhouse.alerts.channels.email.transport import Mailer, Undeliverable

__all__ = ["Attachment", "Letter", "Mailer", "Sender", "Undeliverable", "letter", "render"]
