"""Alerts as staff read them: what is wrong and what was, when it was told and by which channel."""

import msgspec

from tollhouse.alerts.incidents import newest_alerts, open_alerts
from tollhouse.alerts.model import Alert
from tollhouse.kernel.clock import rfc3339
from tollhouse.store import Tx

KINDS = (
    "payments_health", "payments_failing", "payment_declined", "inbox_parked", "webhook_signature", "unmapped_price",
    "second_subscription", "pack_not_granted",
)  # fmt: skip


class AlertView(msgspec.Struct, frozen=True):
    """One alert as JSON. `told_by`: email, webhook, both, or nothing where nobody is told."""

    id: str
    key: str
    kind: str
    severity: str
    title: str
    detail: str
    fix: str
    happened: int
    opened_at: str
    last_at: str
    told_at: str | None
    told_by: list[str]
    reminded_at: str | None
    ended_at: str | None


def kind_of(alert: Alert) -> str:
    """What sort of thing is wrong; `other` for what has no definition of its own."""
    kind = alert.key.partition(":")[0]
    return kind if kind in KINDS else "other"


async def read_alerts(tx: Tx, most: int = 200) -> tuple[list[Alert], list[Alert]]:
    """All that is wrong now, and of the newest alerts those that are over; each the newest first."""
    past = [one for one in await newest_alerts(tx, most) if one.ended_at is not None]
    return (await open_alerts(tx))[::-1], past


def view_alert(alert: Alert) -> AlertView:
    """The alert for machines."""
    return AlertView(
        alert.id, alert.key, kind_of(alert), alert.severity, alert.title, alert.detail, alert.fix, alert.happened,
        rfc3339(alert.opened_at), rfc3339(alert.last_at), _told(alert.told_at), alert.channels, _told(alert.reminded_at),
        _told(alert.ended_at),
    )  # fmt: skip


def _told(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
