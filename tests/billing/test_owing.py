"""From when on a customer who owes is past due: the first failed attempt and the time of grace decide."""

from __future__ import annotations

import pytest

from tollhouse.billing.model import Invoice, Snapshot, Subscription
from tollhouse.billing.owing import standing_of
from tollhouse.kernel.clock import DAY

GRACE = 3 * DAY


def invoice(number: int, status: str = "open", attempts: int = 1, finalized_at: int | None = None) -> Invoice:
    return Invoice(
        f"in_{number}", status, "subscription_cycle", "sub_1", number * DAY, "usd", 900, 0, 900, 0, attempts, (),
        finalized_at=finalized_at,
    )  # fmt: skip


def snapshot(status: str, *invoices: Invoice) -> Snapshot:
    return Snapshot("cus_1", (Subscription("sub_1", status, 0, 0, (), "usd"),), invoices)


@pytest.mark.parametrize(
    ("seen", "grace", "expected"),
    [
        (snapshot("active", invoice(5)), GRACE, ("good", None)),
        (snapshot("past_due", invoice(5)), 0, ("past_due", None)),
        (snapshot("past_due", invoice(5)), GRACE, ("good", 5 * DAY + GRACE)),
        (snapshot("past_due", invoice(5, finalized_at=5 * DAY + 3_600_000)), GRACE, ("good", 5 * DAY + 3_600_000 + GRACE)),
        (snapshot("past_due", invoice(9), invoice(5), invoice(2, "paid")), GRACE, ("good", 5 * DAY + GRACE)),
        (snapshot("unpaid", invoice(5, "uncollectible")), GRACE, ("good", 5 * DAY + GRACE)),
        (snapshot("past_due", invoice(5, "void")), GRACE, ("past_due", None)),
        (snapshot("paused"), GRACE, ("past_due", None)),
        (snapshot("paused", invoice(5, attempts=0)), GRACE, ("past_due", None)),
    ],
)  # fmt: skip
def test_what_the_invoices_say(seen: Snapshot, grace: int, expected: tuple[str, int | None]) -> None:
    assert standing_of(seen, seen.subscriptions[0], grace) == expected
