"""The receipt of a paid invoice, in its customer's language, with the PDF that Stripe drew."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import structlog
from babel.dates import format_date
from babel.numbers import format_currency, get_currency_symbol

from tollhouse.alerts.actions import Messenger
from tollhouse.alerts.channels.email import Attachment, render
from tollhouse.alerts.channels.email.letters import RECEIPT_WORDS
from tollhouse.billing.actions import InvoiceView, invoice_of, read_file
from tollhouse.customers.actions import read_customer
from tollhouse.kernel.errors import NotFound
from tollhouse.kernel.facts import ReceiptRequested
from tollhouse.kernel.money import Money, minor_digits
from tollhouse.store import Store
from tollhouse.store.outbox import Outgoing

INVOICES_PATH = "/app/billing#invoices"
_TERRITORIES = {"en": "en_US", "fr": "fr_FR"}

log = structlog.get_logger(__name__)

_decode = msgspec.json.Decoder(ReceiptRequested).decode


async def send_receipt(store: Store, messenger: Messenger, url: str, item: Outgoing) -> None:
    """Send what this fact asks for, as things stand now; `url` is the product's own. Raises as `alerts.actions.deliver`."""
    asked = _decode(item.payload)
    async with store.reading() as tx:
        customer = await read_customer(tx, asked.customer)
        invoice = await invoice_of(tx, asked.customer, asked.invoice)
        try:
            file = await read_file(tx, asked.customer, asked.invoice)
        except NotFound:
            file = None
    locale = customer.locale.partition("-")[0]
    message = render(
        messenger.sender, "receipt", to=customer.email, locale=locale,
        values=_values(invoice, locale, attached=file is not None) | {"url": url.rstrip("/") + INVOICES_PATH},
        identifier=item.id, at_ms=item.created_at,
        attached=Attachment(file.name, file.pdf) if file is not None else None,
    )  # fmt: skip
    await messenger.mailer.send(message)
    log.info("mail.sent", id=item.id, template="receipt")


def _values(invoice: InvoiceView, locale: str, *, attached: bool) -> dict[str, str]:
    words = RECEIPT_WORDS.get(locale, RECEIPT_WORDS["en"])
    tax = words["tax"].format(net=_money(invoice.net, locale), tax=_money(invoice.tax, locale))
    paid_on = datetime.fromtimestamp((invoice.paid_at or invoice.created_at) / 1000, UTC).date()
    return {
        "number": invoice.number or invoice.id,
        "paid": _money(invoice.paid, locale),
        "day": format_date(paid_on, "d MMMM y", locale="fr" if locale == "fr" else "en"),
        "tax": tax if invoice.tax.amount_minor else "",
        "file": words["attached" if attached else "later"],
    }


def _money(money: Money, locale: str) -> str:
    """With every decimal that the currency has: this is what books are kept by."""
    digits = minor_digits(money.currency)
    place = _TERRITORIES.get(locale, "en_US")
    value = Decimal(money.amount_minor).scaleb(-digits)
    code = money.currency.upper()
    figure = "#,##0" + ("." + "0" * digits if digits else "")
    gap = "\u00a0" if get_currency_symbol(code, place)[-1].isalpha() else ""
    pattern = f"{figure}\u00a0¤" if place == "fr_FR" else f"¤{gap}{figure}"
    return format_currency(value, code, pattern, locale=place, currency_digits=False)
