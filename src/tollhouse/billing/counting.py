"""What happened to payments and webhooks, counted in the transaction in which it happened: a row per kind and minute.

Nothing is counted twice: a payment counts when our row of its invoice changes, a webhook when the inbox first keeps it.
A webhook that failed and was handled after all is taken out again, in the minute in which it had failed.

    payment_succeeded   an invoice or a pack was paid
    payment_declined    Stripe tried and the customer's card or bank did not pay: the customer's, not ours
    payment_failed      ours: no page could be opened on which somebody wanted to pay
    webhook_received    an event of Stripe's, whatever came of it
    webhook_failed      it could not be handled, or came with a signature that we refused
    webhook_mended      ... and was handled after all
    webhook_refused     an event of Stripe's that came with a signature which we refused, when it was first set aside
    signature_refused   ... whenever it came, also again; only its time matters
    signature_verified  an event that was kept already came once more, signed rightly; only its time matters
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.model import Invoice
from tollhouse.kernel.clock import DAY, MINUTE
from tollhouse.store import Tx
from tollhouse.store.inbox import Event

Kind = Literal[
    "payment_succeeded", "payment_declined", "payment_failed", "webhook_received", "webhook_failed", "webhook_mended",
    "webhook_refused", "signature_refused", "signature_verified",
]  # fmt: skip
KEPT_MS = 100 * DAY
LOOK_AGAIN_TYPE = "tollhouse.look_again"  # our own reminder in the inbox: no webhook


class Counts(msgspec.Struct, frozen=True):
    """What happened in a window, and when something of its kind happened last (ms; of all time)."""

    succeeded: int = 0
    declined: int = 0
    failed: int = 0
    webhooks: int = 0
    webhooks_failed: int = 0
    last_payment_at: int | None = None
    last_webhook_at: int | None = None

    @property
    def payments(self) -> int:
        """Every payment that was tried."""
        return self.succeeded + self.declined + self.failed


class Tally:
    """What one transaction counts. Written at its end in one order, so that two of them never wait for each other."""

    def __init__(self) -> None:
        self._numbers: Counter[tuple[Kind, int]] = Counter()
        self._last: dict[tuple[Kind, int], int] = {}

    def add(self, kind: Kind, at: int, number: int = 1) -> None:
        """So many more at this time (ms)."""
        if number > 0:
            place = (kind, at // MINUTE * MINUTE)
            self._numbers[place] += number
            self._last[place] = max(at, self._last.get(place, 0))

    def failed(self, event: Event, held: bool, now: int) -> None:
        """It could not be handled; counted the first time, by whoever holds it."""
        if held and event.failed_at is None and event.type != LOOK_AGAIN_TYPE:
            self.add("webhook_failed", now)

    def mended(self, events: Iterable[Event]) -> None:
        """These were handled; those that had failed are no failures any more."""
        for event in events:
            if event.failed_at is not None and event.type != LOOK_AGAIN_TYPE:
                self.add("webhook_mended", event.failed_at)

    async def write(self, tx: Tx) -> None:
        """Make it last."""
        for place, number in sorted(self._numbers.items()):
            kind, minute = place
            await tx.execute(queries.COUNT, kind=kind, minute=minute, number=number, last_at=self._last[place])


def payments_since(known: tuple[str, int] | None, invoice: Invoice, now: int) -> Iterable[tuple[Kind, int, int]]:
    """(kind, at, number) of what happened to an invoice since our row of it, `known`: (status, attempts).

    Stripe counts the first attempt and its own retries in `attempt_count`, the one that succeeded too
    (docs.stripe.com/api/invoices/object). A past that we only now hear of is counted in its own time.
    """
    status, attempts = known or ("draft", 0)
    further = _declines(invoice.status, invoice.attempts) - _declines(status, attempts)
    if further > 0:
        yield "payment_declined", now if known else invoice.finalized_at or invoice.created_at, further
    if invoice.status == "paid" and status != "paid" and invoice.amount_paid_minor > 0:
        yield "payment_succeeded", invoice.paid_at or now, 1


def _declines(status: str, attempts: int) -> int:
    if status in ("open", "uncollectible"):
        return attempts
    # The last attempt has paid, or waits for the bank or for the payer's word: only those before it were declined.
    return max(0, attempts - 1) if status in ("paid", "processing", "action_required") else 0


async def read_counts(tx: Tx, since: int) -> Counts:
    """What happened from the minute of `since` on: at most nine kinds, a row for each minute in which there was one."""
    rows = await tx.fetch(queries.COUNTS, since=since // MINUTE * MINUTE)
    found = {row["kind"]: int(row["number"]) for row in rows}

    def number(kind: Kind) -> int:
        return found.get(kind, 0)

    last = {row["kind"]: row["last_at"] for row in await tx.fetch(queries.LAST_COUNTED)}
    payments = [last[kind] for kind in ("payment_succeeded", "payment_declined", "payment_failed") if kind in last]
    return Counts(
        number("payment_succeeded"),
        number("payment_declined"),
        number("payment_failed"),
        number("webhook_received") + number("webhook_refused"),
        max(0, number("webhook_failed") - number("webhook_mended")),
        max(payments, default=None),
        max((last[kind] for kind in ("webhook_received", "webhook_refused") if kind in last), default=None),
    )


async def is_signature_refused(tx: Tx, now: int) -> bool:
    """Whether the last event of Stripe's own was refused for its signature, by whichever process; of the last day, as an
    account in which nothing happens shall not look broken for ever.
    """
    last = {row["kind"]: row["last_at"] for row in await tx.fetch(queries.LAST_COUNTED)}
    verified = max(last.get("webhook_received", 0), last.get("signature_verified", 0))
    return bool(last.get("signature_refused", 0) > max(verified, now - DAY))


async def forget_old_counts(tx: Tx, now: int) -> None:
    """Counts of more than a hundred days ago go."""
    await tx.execute(queries.FORGET_COUNTS, before=now - KEPT_MS)
