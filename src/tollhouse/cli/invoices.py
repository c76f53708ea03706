"""`tollhouse invoices list|fetch`: what a customer was asked to pay, and Stripe's own PDFs of what it paid."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tollhouse.billing.actions import InvoiceFile, InvoiceView, invoices_of, read_file
from tollhouse.billing.files import Fetched, Fetcher
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import at_stripe
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.customers.actions import resolve
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import NotFound, Unavailable
from tollhouse.kernel.money import written
from tollhouse.store import Tx

MOST_LISTED = 1_000

CustomerArgument = Annotated[
    str, typer.Argument(help="The customer's cus_ id, a member's usr_ id, or your external_id.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Adds `invoices` with its commands."""
    group = typer.Typer(help="Invoices: list, fetch their PDFs.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_invoices)
    group.command("fetch")(fetch)
    app.add_typer(group, name="invoices")


def list_invoices(
    customer: CustomerArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    """List a customer's invoices, the newest first, with tax, what was given back, and whether the PDF is there."""

    async def work(tx: Tx, now: int) -> list[InvoiceView]:
        return await invoices_of(tx, await resolve(tx, customer), MOST_LISTED)

    found = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"items": [_document(invoice) for invoice in found]})
        return
    rows = [
        [
            one.number or one.id, rfc3339(one.created_at), one.status, written(one.total), written(one.tax),
            written(one.paid), written(one.refunded), one.file,
        ]
        for one in found
    ]  # fmt: skip
    columns = ["invoice", "date", "status", "total", "tax", "paid", "given back", "PDF"]
    emit_table(f"Invoices of {customer}", columns, rows, right=["total", "tax", "paid", "given back"])


def fetch(
    customer: CustomerArgument,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write every PDF into this directory.", file_okay=False)
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Fetch the PDFs of a customer's paid invoices that are missing, from Stripe; what is there is not fetched again."""
    found = known_configuration(config)
    reference, fetched = asyncio.run(_fetch(found, customer))
    files = asyncio.run(in_transaction(found, lambda tx, _: _kept(tx, reference))) if to is not None else []
    written_to = [str(_write(to, file)) for file in files] if to is not None else []
    failed = [one for one in fetched if one.error is not None]
    if as_json:
        emit_json({"customer": reference, "fetched": fetched, "written": written_to})
    else:
        for one in fetched:
            emit(f"{one.invoice}\t{one.error or f'{one.bytes or 0} bytes'}")
        for path in written_to:
            emit(path)
        if not fetched and not written_to:
            emit("nothing is missing")
    if failed:
        raise Unavailable(
            f"{len(failed)} of {len(fetched)} could not be fetched", code="invoice_pdf_unavailable",
            fix="run it again later; the worker tries again, too",
        )  # fmt: skip


async def _fetch(found: Configuration, customer: str) -> tuple[str, list[Fetched]]:
    async with at_stripe(found) as (store, _, gateway):
        async with store.reading() as tx:
            reference = await resolve(tx, customer)
        return reference, await Fetcher(store, gateway).fetch_missing(reference)


async def _kept(tx: Tx, customer: str) -> list[InvoiceFile]:
    files = []
    for invoice in await invoices_of(tx, customer, MOST_LISTED):
        try:
            files.append(await read_file(tx, customer, invoice.id))
        except NotFound:  # not paid, of nothing, or not fetched: told above
            continue
    return files


def _write(directory: Path, file: InvoiceFile) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / file.name
    path.write_bytes(file.pdf)
    return path


def _document(invoice: InvoiceView) -> dict[str, object]:
    return {
        "id": invoice.id,
        "number": invoice.number,
        "status": invoice.status,
        "currency": invoice.total.currency,
        "total_minor": invoice.total.amount_minor,
        "net_minor": invoice.net.amount_minor,
        "tax_minor": invoice.tax.amount_minor,
        "due_minor": invoice.due.amount_minor,
        "paid_minor": invoice.paid.amount_minor,
        "refunded_minor": invoice.refunded.amount_minor,
        "credited_minor": invoice.credited.amount_minor,
        "created_at": rfc3339(invoice.created_at),
        "paid_at": rfc3339(invoice.paid_at) if invoice.paid_at is not None else None,
        "pdf": invoice.file,
        "pdf_error": invoice.file_error,
    }
