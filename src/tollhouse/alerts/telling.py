"""Who is told of which alert, when: grouped letters, one reminder, and the end. Decided once, in one transaction.

A hundred failures are one alert; alerts that open together are one letter; letters of openings are at least five
minutes apart, unless something critical opens. What is decided is put into the outbox, which sends it at least once.
"""

from collections.abc import Sequence

import msgspec

from tollhouse.alerts import queries
from tollhouse.alerts.incidents import alert_of
from tollhouse.alerts.model import BETWEEN_LETTERS_MS, SEVERITIES, WAITS_MS, Alert
from tollhouse.alerts.words import severity_in, title_in
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.facts import AlertTold, MailRequested
from tollhouse.store import Sql, Tx, Value, outbox

MOST_IN_A_LETTER = 20
ABOUT_WEBHOOKS = frozenset({"webhook_signature", "inbox_parked"})
WEBHOOKS_PATH = "/webhooks"  # of the staff pages


class Readers(msgspec.Struct, frozen=True):
    """Who is told: an address and its language, a webhook's receiver; either may be missing."""

    email: str | None
    locale: str
    environment: str
    url: str
    by_webhook: bool


async def any_to_tell(tx: Tx, remind_after_ms: int, now: int) -> bool:
    """Whether `tell` may find something: a look that takes no lock and no writer's turn."""
    return any(alerts for _, alerts, _ in await _to_tell(tx, remind_after_ms, now, lock=False))


async def tell(tx: Tx, readers: Readers, remind_after_ms: int, now: int) -> int:
    """Put what there is to tell into the outbox; the number of alerts told."""
    number = 0
    for kind, alerts, mark in await _to_tell(tx, remind_after_ms, now, lock=True):
        await _put(tx, readers, kind, alerts, mark, now)
        number += len(alerts)
    return number


async def _to_tell(tx: Tx, remind_after_ms: int, now: int, *, lock: bool) -> list[tuple[str, list[Alert], Sql]]:
    """(kind of letter, what it tells, how that is marked as told)."""

    async def found(sql: Sql, **parameters: int) -> list[Alert]:
        return [alert_of(row) for row in await tx.fetch(queries.LOCK[sql] if lock else sql, **parameters)]

    return [
        ("opened", await _ripe(tx, await found(queries.TO_OPEN), now), queries.TOLD),
        ("reminder", await found(queries.TO_REMIND, before=now - remind_after_ms), queries.REMINDED),
        ("ended", await found(queries.TO_END), queries.END_TOLD),
    ]


async def _ripe(tx: Tx, waiting: list[Alert], now: int) -> list[Alert]:
    """What opened and has waited long enough; the others that are open go along."""
    if not any(found.opened_at + WAITS_MS.get(found.severity, 0) <= now for found in waiting):
        return []
    last = await tx.fetch_one(queries.LAST_LETTER)
    soon = last is not None and last["at"] is not None and last["at"] > now - BETWEEN_LETTERS_MS
    return [] if soon and all(found.severity != "critical" for found in waiting) else waiting


async def _put(tx: Tx, readers: Readers, kind: str, alerts: Sequence[Alert], mark: Sql, now: int) -> None:
    if not alerts:
        return
    alerts = sorted(alerts, key=lambda found: (SEVERITIES.index(found.severity), found.opened_at))
    channels = [name for name, used in (("email", readers.email), ("webhook", readers.by_webhook)) if used]
    marked: dict[str, Value] = {"channels": " ".join(channels)} if mark is queries.TOLD else {}
    for alert in alerts:
        await tx.execute(mark, id=alert.id, now=now, **marked)
    if readers.email is not None:
        values = letter_of(kind, alerts, readers)
        await outbox.put(tx, MailRequested(f"alerts_{kind}", readers.email, readers.locale, values), now=now)
    if readers.by_webhook:
        await outbox.put(tx, AlertTold(kind, [_told(alert) for alert in alerts]), now=now)


def letter_of(kind: str, alerts: Sequence[Alert], readers: Readers) -> dict[str, str]:
    """What a letter about these alerts says, in the reader's language but for what the errors themselves say."""
    first, more = alerts[0], len(alerts) - 1
    paragraphs = []
    for alert in alerts[:MOST_IN_A_LETTER]:
        times = f" (× {alert.happened})" if alert.happened > 1 else ""
        severity, title = severity_in(readers.locale, alert.severity), title_in(readers.locale, alert.title)
        paragraphs += [f"[{severity}] {title}{times}", alert.detail]
        paragraphs += [f"→ {alert.fix}"] if kind != "ended" else []
    webhooks = any(alert.key.partition(":")[0] in ABOUT_WEBHOOKS for alert in alerts)
    if len(alerts) > MOST_IN_A_LETTER:
        paragraphs.append(f"… + {len(alerts) - MOST_IN_A_LETTER}")
    return {
        "title": title_in(readers.locale, first.title) + (f" (+ {more})" if more else ""),
        "severity": severity_in(readers.locale, first.severity),
        "list": "\n\n".join(paragraphs),
        "environment": readers.environment,
        "url": readers.url + (WEBHOOKS_PATH if webhooks else ""),
    }


def _told(alert: Alert) -> dict[str, str]:
    return {
        "id": alert.id, "key": alert.key, "severity": alert.severity, "title": alert.title, "detail": alert.detail,
        "fix": alert.fix, "happened": str(alert.happened), "opened_at": rfc3339(alert.opened_at),
        "ended_at": "" if alert.ended_at is None else rfc3339(alert.ended_at),
    }  # fmt: skip
