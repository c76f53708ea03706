"""Reads `[billing]` of the file: what happens when a payment fails or is given back, and tax."""

from tollhouse.catalog.model import BillingAddress, Terms
from tollhouse.kernel.clock import DAY
from tollhouse.settings.problems import shown
from tollhouse.settings.reader import Table

LONGEST_GRACE_DAYS = 60
"""Stripe's own retries end within two months (docs.stripe.com/billing/revenue-recovery/smart-retries)."""


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
    table.finish()
    return Terms(grace_ms, "take_back" if chosen == "take_back" else "keep", automatic_tax, tax_ids, address, receipts)
