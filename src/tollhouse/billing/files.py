"""The PDF of each paid invoice, as Stripe draws it: fetched once, kept in the database, and then its receipt goes out.

want_file(tx, customer, invoice, now)       beside the invoice that has just been paid
Fetcher(store, gateway).work_once()         a worker: claim -> fetch outside any transaction -> keep, ask for the receipt
read_file(tx, customer, invoice)            what its customer downloads
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from tollhouse.billing.model import Invoice
from tollhouse.billing.stripe import StripeGateway, invoice_pdf
from tollhouse.kernel.clock import DAY, MINUTE
from tollhouse.kernel.errors import NotFound, TollhouseError
from tollhouse.kernel.facts import OperatorAlert, ReceiptRequested
from tollhouse.store import Row, Sql, Store, Tx, Value, cell_of, outbox
from tollhouse.store.inbox import MOST_ATTEMPTS, pause_ms

AT_ONCE = 4
LEASE_MS = 2 * MINUTE
RECEIPT_WAITS_MS = 10 * MINUTE
RECEIPT_WITHIN_MS = 7 * DAY
"""A payment that we hear of later than this is no news: whoever moves to Tollhouse writes to nobody about old ones."""
LONGEST_ERROR = 500
LONGEST_ID = 255

_PLACE = "cell = :cell and customer = :customer and invoice = :invoice"
_WANT = Sql(
    "insert into invoice_file (cell, customer, invoice, due_at, attempts, receipt_by)"
    " values (:cell, :customer, :invoice, :now, 0, :receipt_by) on conflict do nothing"
)
_ANY_DUE = Sql("select 1 as one from invoice_file where due_at <= :now limit 1")
_LOCK_DUE = Sql(
    "select customer, invoice, attempts, receipt_by from invoice_file where due_at <= :now"
    " order by due_at limit :most [[for update skip locked]]"
)
_CLAIM = Sql(f"update invoice_file set due_at = :until where {_PLACE}")
_KEEP = Sql(
    f"update invoice_file set pdf = :pdf, fetched_at = :now, due_at = null, error = null where {_PLACE} and pdf is null"
)
_FAILED = Sql(
    f"update invoice_file set attempts = :attempts, due_at = :due_at, error = :error where {_PLACE} and pdf is null"
)
_RECEIPT = Sql(f"update invoice_file set receipt_by = null where {_PLACE} and receipt_by is not null")
_READ = Sql(
    "select i.number, i.id, f.pdf from invoice i"
    " left join invoice_file f on f.cell = i.cell and f.customer = i.customer and f.invoice = i.id"
    " where i.cell = :cell and i.customer = :customer and i.id = :invoice"
)
_MISSING = Sql(
    "select customer, invoice, attempts, receipt_by from invoice_file"
    " where cell = :cell and customer = :customer and pdf is null order by invoice"
)
_AGAIN = Sql(
    "update invoice_file set due_at = :now, attempts = 0 where cell = :cell and customer = :customer and pdf is null"
)

log = structlog.get_logger(__name__)


class InvoiceFile(msgspec.Struct, frozen=True):
    """An invoice's PDF, and its number (its id where it has none)."""

    number: str
    pdf: bytes

    @property
    def name(self) -> str:
        """Under what name it is saved."""
        return f"{''.join(letter if letter.isalnum() and letter.isascii() else '-' for letter in self.number)}.pdf"


class Fetched(msgspec.Struct, frozen=True):
    """What came of asking for one PDF: none of the two where somebody else has just kept it."""

    invoice: str
    bytes: int | None = None
    error: str | None = None


async def want_file(tx: Tx, customer: str, invoice: Invoice, now: int, *, receipts: bool = True) -> None:
    """The PDF of an invoice that is paid is to be fetched; one of nothing has none. Asked for again it changes nothing."""
    if invoice.net_minor + invoice.tax_minor == 0:
        return
    is_news = now - (invoice.paid_at or invoice.created_at) <= RECEIPT_WITHIN_MS
    receipt_by = now + RECEIPT_WAITS_MS if receipts and invoice.amount_paid_minor > 0 and is_news else None
    await tx.execute(
        _WANT, cell=cell_of(customer), customer=customer, invoice=invoice.id, now=now, receipt_by=receipt_by
    )


async def read_file(tx: Tx, customer: str, invoice: str) -> InvoiceFile:
    """One of this customer's own. Raises NotFound `invoice_not_found`, or `no_invoice_pdf` where it is not there (yet)."""
    found = None
    if invoice.isprintable() and len(invoice) <= LONGEST_ID:
        found = await tx.fetch_one(_READ, cell=cell_of(customer), customer=customer, invoice=invoice)
    if found is None:
        raise NotFound("there is no such invoice", code="invoice_not_found", fix="open it from the list of invoices")
    if found["pdf"] is None:
        raise NotFound(
            "the PDF of this invoice is not there", code="no_invoice_pdf",
            fix="try again in some minutes; invoices that are not paid, or of nothing, have none",
        )  # fmt: skip
    return InvoiceFile(found["number"] or found["id"], bytes(found["pdf"]))


async def ask_again(tx: Tx, customer: str, now: int) -> int:
    """Have the worker ask for every PDF of this customer that is missing, given up ones too. How many."""
    return await tx.execute(_AGAIN, cell=cell_of(customer), customer=customer, now=now)


class Fetcher:
    """What a worker needs to fetch invoices. Any number of them may work at once."""

    def __init__(self, store: Store, gateway: StripeGateway) -> None:
        self.store = store
        self.gateway = gateway

    async def work_once(self) -> bool:
        """Fetch what is due, a few at once. Whether there may be more."""
        now = self.store.clock.now_ms()
        async with self.store.reading() as tx:
            if await tx.fetch_one(_ANY_DUE, now=now) is None:
                return False
        async with self.store.transaction() as tx:
            rows = await tx.fetch(_LOCK_DUE, now=now, most=AT_ONCE)
            await tx.execute_many(_CLAIM, [{**_place(row), "until": now + LEASE_MS} for row in rows])
        await self._fetch_all(rows)
        return len(rows) == AT_ONCE

    async def fetch_missing(self, customer: str) -> list[Fetched]:
        """Fetch every PDF of this customer that is missing, now; what fails is tried again later."""
        async with self.store.reading() as tx:
            rows = await tx.fetch(_MISSING, cell=cell_of(customer), customer=customer)
        return await self._fetch_all(rows)

    async def _fetch_all(self, rows: Sequence[Row]) -> list[Fetched]:
        found: list[Fetched] = []
        for first in range(0, len(rows), AT_ONCE):
            found += await asyncio.gather(*(self._fetch(row) for row in rows[first : first + AT_ONCE]))
        return found

    async def _fetch(self, row: Row) -> Fetched:
        """One PDF, whatever comes of it."""
        invoice = row["invoice"]
        try:
            pdf = await invoice_pdf(self.gateway, invoice)
        except Exception as error:  # whatever it is, the others must not suffer, and it is tried again
            told = str(error) if isinstance(error, TollhouseError) else f"{type(error).__name__}: {error}"
            await self._failed(row, told[:LONGEST_ERROR])
            return Fetched(invoice, error=told)
        async with self.store.transaction() as tx:
            now = self.store.clock.now_ms()
            kept = await tx.execute(_KEEP, **_place(row), pdf=pdf, now=now)
            await _ask_for_receipt(tx, row, now)
        log.info("billing.invoice_fetched", customer=row["customer"], invoice=invoice, bytes=len(pdf))
        return Fetched(invoice, bytes=len(pdf) if kept else None)

    async def _failed(self, row: Row, error: str) -> None:
        """Later again with growing pauses; after the last time it is told to staff. The receipt does not wait for ever."""
        attempts = row["attempts"] + 1
        async with self.store.transaction() as tx:
            now = self.store.clock.now_ms()
            due_at = now + pause_ms(attempts) if attempts < MOST_ATTEMPTS else None
            if not await tx.execute(_FAILED, **_place(row), attempts=attempts, due_at=due_at, error=error):
                return
            if due_at is None or due_at > (row["receipt_by"] or 0):
                await _ask_for_receipt(tx, row, now)
            if due_at is None:
                await outbox.put(tx, _given_up(row, error), customer=row["customer"], now=now)
        log.warning("billing.invoice_not_fetched", customer=row["customer"], invoice=row["invoice"], error=error)


async def _ask_for_receipt(tx: Tx, row: Row, now: int) -> None:
    """Once for each invoice, whoever fetched it and however often."""
    if await tx.execute(_RECEIPT, **_place(row)):
        fact = ReceiptRequested(row["customer"], row["invoice"])
        await outbox.put_once(tx, fact, row["invoice"], customer=row["customer"], now=now)


def _place(row: Row) -> dict[str, Value]:
    return {"cell": cell_of(row["customer"]), "customer": row["customer"], "invoice": row["invoice"]}


def _given_up(row: Row, error: str) -> OperatorAlert:
    return OperatorAlert(
        f"invoice_pdf:{row['invoice']}",
        "low",
        "The PDF of an invoice could not be fetched",
        f"{row['invoice']} of {row['customer']}: {error}",
        f"Mend the cause, then run `tollhouse invoices fetch {row['customer']}`.",
    )
