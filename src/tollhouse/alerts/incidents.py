"""What is wrong, kept as one open alert however often it happens; it ends when it is so no longer."""

from tollhouse.alerts import queries
from tollhouse.alerts.model import Alert
from tollhouse.billing.counting import is_signature_refused
from tollhouse.billing.health import PaymentHealth
from tollhouse.kernel.clock import DAY, HOUR
from tollhouse.kernel.facts import OperatorAlert, PaymentFailed
from tollhouse.kernel.ids import new_id
from tollhouse.kernel.masking import mask_text
from tollhouse.store import Row, Sql, Tx

HEALTH_KEY = "payments_health"
MOST_OPEN = 1_000
_STILL: dict[str, Sql] = {
    "inbox_parked": queries.PARKED_OF,
    "webhook_signature": queries.REFUSED_WAITING,
    "unmapped_price": queries.UNMAPPED,
    "second_subscription": queries.SECOND,
}
_QUIET_MS = {"payments_failing": HOUR, "payment_declined": HOUR}


async def open_alert(tx: Tx, alert: OperatorAlert, fact: str, now: int) -> None:
    """Open it, or count once more what is open already. The same fact counts once, however often it is delivered."""
    await tx.execute(
        queries.OPEN, id=new_id("alt"), key=alert.key[:320], severity=alert.severity, title=mask_text(alert.title),
        detail=mask_text(alert.detail), fix=mask_text(alert.fix), fact=fact, now=now,
    )  # fmt: skip


def declined(failed: PaymentFailed) -> OperatorAlert:
    """A payment that Stripe tried in vain: high (row U7), and told apart from failures of our own."""
    amount = f"{failed.amount_minor} {failed.currency} (minor units)"
    return OperatorAlert(
        "payment_declined",
        "high",
        "Payments of customers fail",
        f"The last one: {failed.customer}, invoice {failed.invoice}, {amount}. The card or the bank did not pay.",
        "Nothing is broken here. Stripe tries again and writes to the customer; many at once may be a card test.",
    )


async def watch(tx: Tx, health: PaymentHealth | None, now: int) -> None:
    """Open what the health says, and end what is over. `health` is None where nothing is watched."""
    if health is not None:
        if health.status == "healthy":
            await tx.execute(queries.END, key=HEALTH_KEY, now=now)
        else:
            await open_alert(tx, _of_health(health), health.status, now)
    for found in await open_alerts(tx):
        kind, _, name = found.key.partition(":")
        if kind == HEALTH_KEY:
            continue
        still = _STILL.get(kind)
        if still is None:
            over = found.last_at <= now - _QUIET_MS.get(kind, DAY)
        else:
            over = await tx.fetch_one(still, **({"name": name} if still.parameters else {})) is None
        if (
            over and kind == "webhook_signature"
        ):  # what was refused may be applied by a replay, and the secret still wrong
            over = not await is_signature_refused(tx, now)
        if over:
            await tx.execute(queries.END, key=found.key, now=now)


def _of_health(health: PaymentHealth) -> OperatorAlert:
    severity = "critical" if health.status == "critical" else "medium"
    return OperatorAlert(
        HEALTH_KEY,
        severity,
        f"Payments are {health.status}",
        f"In the last {health.window_ms // 60_000} minutes {health.payment_failure_rate} % of the payments failed"
        f" ({health.counts.failed} of {health.counts.payments}, without declined cards) and"
        f" {health.webhook_failure_rate} % of the webhooks ({health.counts.webhooks_failed} of {health.counts.webhooks}).",
        "Open the payment events of the staff pages: each failed one stands there with its error and its fix.",
    )


async def open_alerts(tx: Tx) -> list[Alert]:
    """What is wrong now, the oldest first."""
    return [alert_of(row) for row in await tx.fetch(queries.OPEN_ONES, most=MOST_OPEN)]


async def newest_alerts(tx: Tx, most: int = 100) -> list[Alert]:
    """What is and was wrong, the newest first."""
    return [alert_of(row) for row in await tx.fetch(queries.NEWEST, most=most)]


def alert_of(row: Row) -> Alert:
    """A row as an alert."""
    return Alert(*(row[name] for name in Alert.__struct_fields__))
