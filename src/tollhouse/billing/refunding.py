"""Payments that were given back: noted with the lots they paid for, whose credits are taken back where the catalogue says so."""

from tollhouse.billing import queries
from tollhouse.billing.model import Snapshot
from tollhouse.catalog.model import Catalog
from tollhouse.ledger import actions as ledger
from tollhouse.store import Tx, cell_of


async def take_back_refunded(tx: Tx, catalog: Catalog, customer: str, snapshot: Snapshot, now: int) -> None:
    """What was given back of the payments of plans and packs, by the share of each lot; applied once.

    Months of a yearly price that are granted later are taken back as they come.
    """
    if not snapshot.refunded:
        return
    keeps = catalog.terms.on_refund == "keep"
    paid = {invoice.id: invoice.amount_paid_minor for invoice in snapshot.invoices if invoice.status == "paid"}
    rows = await tx.fetch(queries.GRANTED, cell=cell_of(customer), customer=customer)
    for row in sorted(rows, key=lambda row: (row["period_end"], row["month"], row["invoice"], row["line"])):
        invoice = row["invoice"]
        refunded = min(snapshot.refunded.get(invoice, 0), paid.get(invoice, 0))
        if refunded:
            await ledger.take_back_refunded(
                tx, catalog, customer, now, source="invoice", key=f"{invoice}:{row['line']}:{row['month']}",
                paid_minor=paid[invoice], refunded_minor=refunded, metadata={"invoice": invoice}, keeps_credits=keeps,
            )  # fmt: skip
    for purchase in snapshot.purchases:
        refunded = min(snapshot.refunded.get(purchase.payment or "", 0), purchase.charged_minor)
        if refunded:
            await ledger.take_back_refunded(
                tx, catalog, customer, now, source="bought", key=purchase.session, paid_minor=purchase.charged_minor,
                refunded_minor=refunded, metadata={"session": purchase.session}, keeps_credits=keeps,
            )  # fmt: skip
