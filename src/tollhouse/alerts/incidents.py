"""What is wrong, kept as one open alert however often it happens; it ends when it is so no longer."""

import msgspec

from tollhouse.alerts import queries
from tollhouse.alerts.model import Alert
from tollhouse.billing.counting import is_signature_refused
from tollhouse.billing.health import PaymentHealth
from tollhouse.kernel.clock import DAY, HOUR
from tollhouse.kernel.facts import OperatorAlert, PaymentFailed
from tollhouse.kernel.ids import new_id
from tollhouse.kernel.masking import mask_text
from tollhouse.kernel.money import Money, written
from tollhouse.store import Row, Sql, Tx

HEALTH_KEY = "payments_health"
MOST_OPEN = 1_000
_STILL: dict[str, Sql] = {"inbox_parked": queries.PARKED_OF, "webhook_signature": queries.REFUSED_WAITING}
_EVERY: dict[str, Sql] = {"unmapped_price": queries.UNMAPPED, "second_subscription": queries.SECOND}
_QUIET_MS = {"payments_failing": HOUR, "payment_declined": HOUR}


async def open_alert(tx: Tx, alert: OperatorAlert, fact: str, now: int) -> None:
    """Open it, or count once more what is open already, unless this very fact was counted last."""
    await tx.execute(
        queries.OPEN, id=new_id("alt"), key=alert.key[:320], severity=alert.severity, title=mask_text(alert.title),
        detail=mask_text(alert.detail), fix=mask_text(alert.fix), fact=fact, now=now,
    )  # fmt: skip


def declined(failed: PaymentFailed) -> OperatorAlert:
    """A payment that Stripe tried in vain: high (row U7), and told apart from failures of our own."""
    amount = written(Money(failed.amount_minor, failed.currency))
    return OperatorAlert(
        "payment_declined",
        "high",
        "Payments of customers fail",
        f"The last one: {failed.customer}, invoice {failed.invoice}, {amount}. The card or the bank did not pay.",
        "Nothing is broken here. Stripe tries again and writes to the customer; many at once may be a card test.",
    )


class Changes(msgspec.Struct, frozen=True):
    """What is to be written: an alert of the health, and those that are over."""

    health: OperatorAlert | None
    over: tuple[Alert, ...]

    def __bool__(self) -> bool:
        return self.health is not None or bool(self.over)


async def look(tx: Tx, health: PaymentHealth | None, now: int) -> Changes:
    """What differs from what is open, found by reading alone. `health` is None where nothing is watched."""
    opened = await open_alerts(tx)
    known = next((found for found in opened if found.key == HEALTH_KEY), None)
    ill = _of_health(health) if health is not None and health.status != "healthy" else None
    new = ill if ill is not None and (known is None or known.severity != ill.severity) else None
    over = [known] if known is not None and health is not None and ill is None else []
    every: dict[str, set[str]] = {}
    for found in opened:
        kind, _, name = found.key.partition(":")
        if kind == HEALTH_KEY:
            continue
        if kind in _EVERY:
            if kind not in every:
                every[kind] = {row["name"] for row in await tx.fetch(_EVERY[kind])}
            still = name in every[kind]
        elif kind in _STILL:
            sql = _STILL[kind]
            still = await tx.fetch_one(sql, **({"name": name} if sql.parameters else {})) is not None
        else:
            still = found.last_at > now - _QUIET_MS.get(kind, DAY)
        if (
            not still and kind == "webhook_signature"
        ):  # a replay applies what was refused, and the secret is wrong still
            still = await is_signature_refused(tx, now)
        if not still:
            over.append(found)
    return Changes(new, tuple(over))


async def write(tx: Tx, changes: Changes, now: int) -> None:
    """Open and end what `look` found; what happened once more in between goes on."""
    if changes.health is not None:
        await open_alert(tx, changes.health, changes.health.severity, now)
    for found in changes.over:
        await tx.execute(queries.END, id=found.id, happened=found.happened, now=now)


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
