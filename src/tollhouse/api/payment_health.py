"""`GET /health/payments`: whether payments work, for whoever watches from outside (rows U5, U6)."""

from typing import Any, Literal

import msgspec
import structlog
from litestar import Response, get

from tollhouse.api.answers import NO_SECURITY, TheHouse, answers_with, json_answer
from tollhouse.billing.health import PaymentHealth
from tollhouse.kernel.clock import rfc3339

NO_STORE = {"cache-control": "no-store"}

log = structlog.get_logger(__name__)


class PaymentMetrics(msgspec.Struct, frozen=True, rename="camel"):
    """What happened in the last `windowSeconds`. `totalPayments` is the sum of the next three: paid; declined by the
    customer's card or bank; failed by our fault. A webhook failed when it could not be handled, or came with a signature
    that we refused; once it is handled after all it is no failure any more."""

    window_seconds: int
    total_payments: int
    successful_payments: int
    declined_payments: int
    failed_payments: int
    webhook_events: int
    failed_webhooks: int
    last_payment_at: str | None
    last_webhook_at: str | None


class FailureRates(msgspec.Struct, frozen=True, rename="camel"):
    """Percentages of `totalPayments` and of `webhookEvents`. Declined cards are no failures."""

    payment_failure_rate: float
    webhook_failure_rate: float


class LastActivity(msgspec.Struct, frozen=True, rename="camel"):
    """The last of all time; `hasRecentActivity`: one of them in the last 24 hours."""

    has_recent_activity: bool
    last_payment: str | None
    last_webhook: str | None


class PaymentHealthAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Whether payments work. The thresholds are settings: STRIPE_DEGRADED_… and STRIPE_CRITICAL_…."""

    status: Literal["healthy", "degraded", "critical"]
    metrics: PaymentMetrics
    rates: FailureRates
    last_activity: LastActivity


class UnknownHealth(msgspec.Struct, frozen=True):
    """Nobody can tell whether payments work; `error` says why."""

    status: Literal["error"]
    error: str


@get(
    "/health/payments", tags=["Operating"], security=NO_SECURITY, summary="Whether payments work",
    responses=answers_with(PaymentHealthAnswer, "healthy or degraded")
    | answers_with(PaymentHealthAnswer, "critical", 503)
    | answers_with(UnknownHealth, "It cannot be told", 500),
)  # fmt: skip
async def payment_health(house: TheHouse) -> Response[Any]:
    """200 while healthy or degraded, 503 when critical, 500 when it cannot be told (no database, or monitoring is off).
    The answer may be a second old."""
    if not house.settings.stripe.monitoring_enabled:
        return _unknown("STRIPE_MONITORING_ENABLED is false: nothing is watched")
    try:
        found = await house.payment_health.read(house.store, house.settings.monitoring)
    except Exception as error:  # whatever it is: a watcher from outside must hear that nobody can tell
        log.error("health.payments_unknown", error=f"{type(error).__name__}: {error}")
        return _unknown("the database does not answer")
    return json_answer(answer_of(found), 503 if found.status == "critical" else 200, NO_STORE)


def answer_of(found: PaymentHealth) -> PaymentHealthAnswer:
    """The verdict in the shape of the contract."""
    counts = found.counts
    last_payment, last_webhook = _time(counts.last_payment_at), _time(counts.last_webhook_at)
    return PaymentHealthAnswer(
        found.status,
        PaymentMetrics(
            found.window_ms // 1000, counts.payments, counts.succeeded, counts.declined, counts.failed,
            counts.webhooks, counts.webhooks_failed, last_payment, last_webhook,
        ),
        FailureRates(found.payment_failure_rate, found.webhook_failure_rate),
        LastActivity(found.active, last_payment, last_webhook),
    )  # fmt: skip


def _unknown(error: str) -> Response[Any]:
    return json_answer(UnknownHealth("error", error), 500, NO_STORE)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
