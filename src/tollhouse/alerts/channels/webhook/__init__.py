"""Webhooks: a JSON document posted to one address, signed by the Standard Webhooks convention (`transport.py`)."""

from tollhouse.alerts.channels.webhook.transport import Caller

__all__ = ["Caller"]
