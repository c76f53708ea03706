"""Which months of a plan have been paid for, from the invoices. Pure.

Credits come on *paid*, month by month also at a yearly price, once per subscription, plan and month, however often
invoices are sent again, prorated or toggled between two plans.
"""

from collections.abc import Iterable, Mapping

import msgspec

from tollhouse.billing.model import Invoice, InvoiceLine, Snapshot, SoldPrice, Subscription
from tollhouse.billing.prices import PriceMap
from tollhouse.kernel.money import Money
from tollhouse.kernel.periods import boundary, index_at
from tollhouse.ledger.plan_lots import Occasion


class PaidMonth(msgspec.Struct, frozen=True):
    """One month (or the whole period of a monthly price) that is paid. `number` counts from the anchor's month."""

    invoice: str
    line: str
    subscription: str
    sold: SoldPrice
    number: int
    start: int
    end: int
    period_end: int  # of the whole line: a year for a yearly price
    paid: Money
    occasion: Occasion
    due_at: int  # when it was paid and had begun
    nth: int = 0  # of the line's months, from 0
    outrun: bool = False  # the subscription's periods have begun anew since: `number` counts from the line's own start

    @property
    def key(self) -> str:
        """Under which the ledger grants it once."""
        return f"{self.invoice}:{self.line}:{self.number}"

    @property
    def action(self) -> str:
        """What its entries are called."""
        return "plan_renewed" if self.occasion == "renewed" else "plan_upgraded"

    @property
    def place(self) -> tuple[str, str, int, int]:
        """What is granted once, whichever line pays for it."""
        return self.subscription, self.sold.plan, self.period_end, self.number

    def is_among(self, granted: Iterable[tuple[str, str, int, int]]) -> bool:
        """Whether one of these places is this month's. Its number alone would not do: another interval moves the anchor
        from which months are counted. A monthly line is one month whatever its number; of a year's line that was
        outrun, so many months from the first on are granted as there are places."""
        of_line = [place[3] for place in granted if place[:3] == self.place[:3]]
        if self.sold.every != "year":
            return bool(of_line)
        return self.nth < len(of_line) if self.outrun else self.number in of_line


def paid_months(snapshot: Snapshot, prices: PriceMap, never: Iterable[str]) -> list[PaidMonth]:
    """Every month that any paid invoice pays for, in the order in which they fell due; none of those in `never`.

    Whoever looks for the first time takes them in the same order as who looked all along: an invoice that is paid late
    comes after the ones that were paid before it, whichever period is the older.
    """
    excluded = frozenset(never)
    owners = {subscription.id: subscription for subscription in snapshot.subscriptions}
    facts = snapshot.facts_of_prices()
    months: list[PaidMonth] = []
    for invoice in sorted(snapshot.invoices, key=lambda invoice: (invoice.created_at, invoice.id)):
        if invoice.status != "paid":
            continue
        sold_of = {
            line.id: sold
            for line in invoice.lines
            if line.price in facts and (sold := prices.find(facts[line.price])) is not None
        }
        counted = [
            line
            for line in invoice.lines
            if line.subscription is not None
            and line.subscription not in excluded
            and _counts(invoice, line, sold_of, prices)
        ]
        paid = _paid(invoice, counted)
        for line in counted:
            months += _months(invoice, line, sold_of[line.id], owners.get(line.subscription or ""), paid[line.id])
    return sorted(months, key=lambda month: (month.due_at, month.start, month.invoice, month.line))


def _counts(invoice: Invoice, line: InvoiceLine, sold_of: Mapping[str, SoldPrice], prices: PriceMap) -> bool:
    """A period's own line counts; a proration only where it moves up from a lower plan."""
    sold = sold_of.get(line.id)
    if sold is None or line.amount_minor < 0:
        return False
    if not line.proration:
        return True
    plans = prices.catalog.plans
    left = [
        plans[sold_of[other.id].plan].rank
        for other in invoice.lines
        if other.id in sold_of
        and other.proration
        and other.amount_minor < 0
        and other.subscription == line.subscription
    ]
    return line.amount_minor > 0 and max(left, default=-1) < plans[sold.plan].rank


def _paid(invoice: Invoice, counted: list[InvoiceLine]) -> dict[str, int]:
    """What was paid for each line that counts: its amount, less what was credited for what it replaces.

    The prorations of one change are netted where they brought something; what changes in between left over, up or
    down, is netted with the next one, at last with the period's own line. Never below zero: the rest of a credit
    stays on the customer's balance. A change that was invoiced apart is netted in its own invoice only.
    """
    paid = {line.id: line.amount_minor for line in counted}
    for subscription in {line.subscription for line in counted}:
        own = [line for line in invoice.lines if line.proration and line.subscription == subscription]
        left = 0
        for moment in sorted({line.period_start for line in own}):
            change = [line for line in own if line.period_start == moment]
            left += sum(line.amount_minor for line in change)
            for line in change:
                if line.id in paid:
                    paid[line.id] = max(0, left)
                    left = min(0, left)
        whole = next((line for line in counted if line.subscription == subscription and not line.proration), None)
        if whole is not None:
            paid[whole.id] = max(0, paid[whole.id] + left)
    return paid


def _months(
    invoice: Invoice, line: InvoiceLine, sold: SoldPrice, owner: Subscription | None, paid: int
) -> list[PaidMonth]:
    outrun = owner is not None and line.period_start < owner.anchor
    anchor = line.period_start if owner is None or outrun else owner.anchor
    first: Occasion = "bought" if invoice.reason == "subscription_create" else "renewed"
    first = "upgraded" if line.proration else first
    spans = _spans(line, sold, anchor)
    count = len(spans)
    return [
        PaidMonth(
            invoice=invoice.id,
            line=line.id,
            subscription=line.subscription or "",
            sold=sold,
            number=number,
            start=start,
            end=end,
            period_end=line.period_end,
            # Shares of whole minor units that add up to what was paid.
            paid=Money(paid * (k + 1) // count - paid * k // count, line.currency),
            occasion=first if k == 0 else "renewed",
            due_at=max(start, invoice.paid_at or invoice.created_at),
            nth=k,
            outrun=outrun,
        )
        for k, (number, start, end) in enumerate(spans)
        # Periods that begin anew pay for their own months; what was left of the old one has been credited.
        if not outrun or owner is None or start < owner.anchor
    ]


def _spans(line: InvoiceLine, sold: SoldPrice, anchor: int) -> list[tuple[int, int, int]]:
    """(number, start, end) of each month of the line; a monthly price's line is one."""
    first = index_at(anchor, "month", line.period_start)
    if sold.every != "year":
        return [(first, line.period_start, line.period_end)]
    spans = []
    number, start = first, line.period_start
    while start < line.period_end:
        end = min(boundary(anchor, "month", number + 1), line.period_end)
        spans.append((number, start, end))
        number, start = number + 1, end
    return spans
