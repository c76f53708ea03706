"""What the pages, the API and the command line call: selling, reading what was paid, and events that wait for staff.

start_checkout(till, payer, plan, interval) -> url        open_portal(till, payer) -> url
start_pack_checkout(till, payer, pack) -> url             has_arrived(tx, customer, session)
awaited_packs(tx, customer, now) -> names
subscription_of(tx, customer)    invoices_of(tx, customer)    refresh(till, customer)
read_file(tx, customer, invoice) -> its PDF                   ask_again(tx, customer, now)
list_events(tx, status)          replay(tx, id, now)
"""

from typing import Literal

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.attempts import count_attempt
from tollhouse.billing.checkout import Till, open_portal, open_till, require_gateway
from tollhouse.billing.currencies import currency_of
from tollhouse.billing.files import InvoiceFile, ask_again, read_file
from tollhouse.billing.linking import Payer, link_of_customer, payer_of
from tollhouse.billing.model import LIVE_STATUSES, OTHER_SUBJECT
from tollhouse.billing.packs import awaited_packs, has_arrived
from tollhouse.billing.refreshing import refresh
from tollhouse.billing.selling import start_checkout, start_pack_checkout
from tollhouse.billing.setup import ensure_prices
from tollhouse.billing.syncing import SOURCE
from tollhouse.kernel.errors import NotFound
from tollhouse.kernel.money import Money
from tollhouse.store import Row, Tx, cell_of, inbox
from tollhouse.store.inbox import Event

LONGEST_EVENT_ID = 255

__all__ = [
    "InvoiceFile",
    "Payer",
    "Till",
    "ask_again",
    "awaited_packs",
    "count_attempt",
    "currency_of",
    "ensure_prices",
    "has_arrived",
    "invoice_of",
    "invoices_of",
    "link_of_customer",
    "list_events",
    "open_portal",
    "open_till",
    "payer_of",
    "read_event",
    "read_file",
    "refresh",
    "replay",
    "require_gateway",
    "start_checkout",
    "start_pack_checkout",
    "subscription_of",
]


class LaterPrice(msgspec.Struct, frozen=True):
    """What a subscription changes to at `at` (ms), once that is agreed."""

    plan: str
    every: str
    price: Money
    at: int


class SubscriptionView(msgspec.Struct, frozen=True):
    """A customer's subscription as the pages show it. Times in ms; `cancel_at`: when it is known to end."""

    id: str
    status: str
    plan: str | None
    every: str
    price: Money
    period_start: int
    period_end: int
    cancel_at: int | None
    later: LaterPrice | None = None


FileState = Literal["none", "awaited", "kept", "failed"]


class InvoiceView(msgspec.Struct, frozen=True):
    """An invoice as the pages show it: `net` and `tax` together are its total. Times in ms.

    `refunded`: given back of what was paid, or lost to a dispute; `credited`: taken off by credit notes. `file`: its PDF,
    which one has that is paid and not of nothing; `failed` with the reason once it was given up.
    """

    id: str
    number: str | None
    status: str
    due: Money
    paid: Money
    net: Money
    tax: Money
    refunded: Money
    credited: Money
    created_at: int
    paid_at: int | None
    attempts: int
    next_attempt_at: int | None
    page_url: str | None
    pdf_url: str | None
    file: FileState
    file_error: str | None

    @property
    def total(self) -> Money:
        """With tax."""
        return Money(self.net.amount_minor + self.tax.amount_minor, self.net.currency)


async def subscription_of(tx: Tx, customer: str) -> SubscriptionView | None:
    """The live subscription that counts, else None."""
    for row in await tx.fetch(queries.SUBSCRIPTIONS, cell=cell_of(customer), customer=customer):
        if row["status"] in LIVE_STATUSES and row["plan"] is not None and row["second_since"] is None:
            return SubscriptionView(
                row["id"], row["status"], row["plan"], row["every"], Money(row["amount_minor"], row["currency"]),
                row["period_start"], row["period_end"], row["cancel_at"], _later(row),
            )  # fmt: skip
    return None


def _later(row: Row) -> LaterPrice | None:
    if row["later_plan"] is None:
        return None
    price = Money(row["later_amount_minor"], row["currency"])
    return LaterPrice(row["later_plan"], row["later_every"], price, row["later_at"])


async def invoices_of(tx: Tx, customer: str, most: int = 100) -> list[InvoiceView]:
    """The newest first."""
    rows = await tx.fetch(queries.LIST_INVOICES, cell=cell_of(customer), customer=customer, most=most)
    return [_invoice(row) for row in rows]


async def invoice_of(tx: Tx, customer: str, invoice: str) -> InvoiceView:
    """One of this customer's invoices. Raises NotFound `invoice_not_found`."""
    row = await tx.fetch_one(queries.ONE_INVOICE, cell=cell_of(customer), customer=customer, id=invoice)
    if row is None:
        raise NotFound("there is no such invoice", code="invoice_not_found", fix="list the customer's invoices")
    return _invoice(row)


def _invoice(row: Row) -> InvoiceView:
    def money(amount_minor: int | None) -> Money:
        return Money(amount_minor or 0, row["currency"])

    net = row["amount_due_minor"] if row["net_minor"] is None else row["net_minor"]
    return InvoiceView(
        row["id"], row["number"], row["status"], money(row["amount_due_minor"]), money(row["amount_paid_minor"]),
        money(net), money(row["tax_minor"]), money(row["refunded_minor"]), money(row["credited_minor"]),
        row["created_at"], row["paid_at"], row["attempts"], row["next_attempt_at"], row["page_url"], row["pdf_url"],
        _file_state(row), row["file_error"],
    )  # fmt: skip


def _file_state(row: Row) -> FileState:
    if row["file"] is None:
        return "none"
    if row["fetched_at"] is not None:
        return "kept"
    return "awaited" if row["file_due_at"] is not None else "failed"


async def list_events(tx: Tx, status: str = "parked", before: int | None = None, most: int = 100) -> list[Event]:
    """Stripe's events in this status (pending, done, parked), the newest first."""
    return await inbox.list_events(tx, SOURCE, status, before, most)


async def read_event(tx: Tx, id: str) -> Event:
    """One of Stripe's events. Raises NotFound."""
    # What could be no id is never sent to the database: PostgreSQL takes no NUL.
    found = await inbox.read(tx, SOURCE, id) if id.isprintable() and len(id) <= LONGEST_EVENT_ID else None
    if found is None:
        raise NotFound(
            f"there is no event {id[:LONGEST_EVENT_ID]!r}", code="event_not_found",
            fix="use the id of Stripe's event (evt_…)",
        )  # fmt: skip
    return found


async def replay(tx: Tx, id: str, now: int) -> bool:
    """Let a parked or finished event be handled again, and with it whatever is parked about the same customer: one look at
    Stripe answers all of it. False when the event is waiting anyway; raises NotFound.
    """
    event = await read_event(tx, id)
    again = await inbox.replay(tx, SOURCE, id, now)
    if not event.subject.startswith(OTHER_SUBJECT):
        await inbox.replay_parked(tx, SOURCE, event.subject, now)
    return again
