"""Whether payments work (rows U5, U6): healthy, degraded or critical by the rates of a sliding window. Pure, but `read`."""

from typing import Literal

import msgspec

from tollhouse.billing.counting import Counts, read_counts
from tollhouse.kernel.clock import DAY
from tollhouse.settings import MonitoringSettings
from tollhouse.store import Tx

Status = Literal["healthy", "degraded", "critical"]


class PaymentHealth(msgspec.Struct, frozen=True):
    """The verdict at `at` (ms), what it rests on, and the rates in percent of everything in the window."""

    status: Status
    at: int
    window_ms: int
    counts: Counts
    payment_failure_rate: float
    webhook_failure_rate: float

    @property
    def active(self) -> bool:
        """Whether a payment or a webhook came in the last 24 hours."""
        last = max(self.counts.last_payment_at or 0, self.counts.last_webhook_at or 0)
        return last > self.at - DAY


def judge(counts: Counts, settings: MonitoringSettings, now: int) -> PaymentHealth:
    """Above a threshold, not at it, it is worse. A declined card is the customer's: among the payments, no failure."""
    payments = _percent(counts.failed, counts.payments)
    webhooks = _percent(counts.webhooks_failed, max(counts.webhooks, counts.webhooks_failed))
    status: Status = "healthy"
    if payments > settings.degraded_payments or webhooks > settings.degraded_webhooks:
        status = "degraded"
    if payments > settings.critical_payments or webhooks > settings.critical_webhooks:
        status = "critical"
    return PaymentHealth(status, now, settings.window_ms, counts, payments, webhooks)


async def read_health(tx: Tx, settings: MonitoringSettings, now: int) -> PaymentHealth:
    """The verdict now."""
    return judge(await read_counts(tx, now - settings.window_ms), settings, now)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
