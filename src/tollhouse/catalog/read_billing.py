"""Reads `[billing]` of the file: what happens when a payment fails or is given back, tax, and when a balance is told."""

from tollhouse.catalog.model import BillingAddress, OnRefund, Terms
from tollhouse.kernel.clock import DAY
from tollhouse.settings.problems import shown
from tollhouse.settings.reader import Table

LONGEST_GRACE_DAYS = 60
"""Stripe's own retries end within two months (docs.stripe.com/billing/revenue-recovery/smart-retries)."""

MOST_THRESHOLDS = 5


def read_billing(table: Table) -> Terms:
    """The terms; every one of them has a default."""
    allowed = f'a duration such as "3d", at most {LONGEST_GRACE_DAYS}d'
    grace_ms = table.duration_ms("grace", allowed) or 0
    if grace_ms > LONGEST_GRACE_DAYS * DAY:
        fix = f'write grace = "{LONGEST_GRACE_DAYS}d" or less'
        table.problem("grace", shown(table.values["grace"]), allowed, fix)
    chosen = table.choice("on_refund", ("keep", "take_back"), "keep")
    automatic_tax, tax_ids = table.boolean("automatic_tax"), table.boolean("tax_ids")
    asked = table.choice("billing_address", ("auto", "required"), "auto")
    address: BillingAddress = "required" if asked == "required" else "auto"
    receipts = table.boolean("receipts", True)
    thresholds = _thresholds(table)
    table.finish()
    on_refund: OnRefund = "take_back" if chosen == "take_back" else "keep"
    return Terms(grace_ms, on_refund, automatic_tax, tax_ids, address, receipts, thresholds)


def _thresholds(table: Table) -> tuple[int, ...]:
    """Percentages at which a balance is told, ascending; without the key at 80."""
    allowed = "a list of percentages such as [50, 80]"
    given = table.integers("balance_thresholds", allowed, least=1, most=99, longest=MOST_THRESHOLDS)
    return tuple(sorted(set(given))) if table.has("balance_thresholds") else Terms().balance_thresholds
