"""An invoice as a PDF: number, who from and to, lines, discount, tax, total, what was paid; in its customer's language.

Drawn with the fonts that every reader has, so letters outside Western Europe's alphabets come out as question marks.
"""

from datetime import UTC, datetime
from io import BytesIO

import pydyf

from tollhouse_sandbox.billing.amounts import money
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.http import Response
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.world import World

_WIDTH, _HEIGHT, _LEFT, _RIGHT = 595, 842, 56, 539
_TOP, _BOTTOM, _ROW = 786, 90, 18
_PLAIN, _BOLD, _FIGURES = "plain", "bold", "figures"
_FIGURE_WIDTH = 0.6  # of the size: the font of the figures has one width, so they end under each other

_ENGLISH = {
    "invoice": "Invoice", "number": "Invoice number", "date": "Date of issue", "paid_on": "Date paid",
    "from": "From", "to": "Bill to", "description": "Description", "quantity": "Qty", "amount": "Amount",
    "subtotal": "Subtotal", "discount": "Discount", "tax": "Tax", "included": "included", "total": "Total",
    "balance": "Applied balance", "due": "Amount due", "paid": "Amount paid", "void": "VOID",
    "sandbox": "Made by the Tollhouse sandbox. No money has moved.",
    "months": "January February March April May June July August September October November December",
}  # fmt: skip
_FRENCH = {
    "invoice": "Facture", "number": "Numéro de facture", "date": "Date d'émission", "paid_on": "Date de paiement",
    "from": "Émetteur", "to": "Facturé à", "description": "Description", "quantity": "Qté", "amount": "Montant",
    "subtotal": "Sous-total", "discount": "Remise", "tax": "TVA", "included": "comprise", "total": "Total",
    "balance": "Solde appliqué", "due": "Montant dû", "paid": "Montant payé", "void": "ANNULÉE",
    "sandbox": "Établie par le bac à sable de Tollhouse. Aucun paiement réel n'a eu lieu.",
    "months": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}  # fmt: skip


def answer(world: World, key: str) -> Response:
    """The file, or 404 as a page; a draft has none yet, as at Stripe."""
    invoice = world.store.get("invoice", key)
    if invoice is None or invoice["status"] == "draft":
        text = "Check the link: there is no such invoice, or it is still a draft."
        return page(world, "notice.html", status=404, title="Invoice not found", text=text, link=None)
    name = f"Invoice-{invoice['number']}.pdf"
    headers = {
        "content-type": "application/pdf",
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "no-store",
    }
    return Response(200, draw(world, invoice), headers)


def draw(world: World, invoice: Doc) -> bytes:
    """The whole file; the same invoice gives the same bytes."""
    customer = world.store.get("customer", invoice["customer"]) or {}
    locales = customer.get("preferred_locales") or []
    words = _FRENCH if locales and locales[0].lower().startswith("fr") else _ENGLISH
    pages: list[pydyf.Stream] = []
    height = _begin(pages, _TOP)
    height = _head(pages[-1], world, invoice, words, height)
    for line in invoice["lines"]["data"]:
        if height < _BOTTOM + 6 * _ROW:
            height = _begin(pages, _TOP)
        height = _line(pages[-1], line, words, height)
    _sums(pages[-1], invoice, words, height - 6)
    for drawn in pages:
        _write(drawn, _LEFT, 48, words["sandbox"], size=8)
    return _bound(pages, f"{words['invoice']} {invoice['number']}")


def _begin(pages: list[pydyf.Stream], height: int) -> int:
    pages.append(pydyf.Stream(compress=True))
    return height


def _head(stream: pydyf.Stream, world: World, invoice: Doc, words: dict[str, str], height: int) -> int:
    _write(stream, _LEFT, height, words["invoice"], font=_BOLD, size=20)
    if invoice["status"] == "void":
        _write(stream, 400, height, words["void"], font=_BOLD, size=20)
    height -= 30
    transitions = invoice["status_transitions"]
    facts = [(words["number"], invoice["number"]), (words["date"], _day(transitions["finalized_at"], words))]
    if transitions["paid_at"]:
        facts.append((words["paid_on"], _day(transitions["paid_at"], words)))
    for name, value in facts:
        _write(stream, _LEFT, height, name, font=_BOLD)
        _write(stream, 180, height, value)
        height -= 15
    height -= 15
    _write(stream, _LEFT, height, words["from"], font=_BOLD)
    _write(stream, 300, height, words["to"], font=_BOLD)
    seller = [world.config.account_name, world.config.country]
    address = invoice["customer_address"] or {}
    town = " ".join(filter(None, (address.get("postal_code"), address.get("city"))))
    numbers = [each["value"] for each in invoice["customer_tax_ids"] or []]
    buyer = [
        invoice["customer_name"], address.get("line1"), town, address.get("country"), invoice["customer_email"], *numbers,
    ]  # fmt: skip
    for place, lines in ((_LEFT, seller), (300, buyer)):
        for row, text in enumerate(filter(None, lines), start=1):
            _write(stream, place, height - 14 * row, text)
    height -= 14 * max(2, len(list(filter(None, buyer)))) + 36
    _write(stream, _LEFT, height, words["description"], font=_BOLD)
    _write(stream, 410, height, words["quantity"], font=_BOLD)
    _figure(stream, height, words["amount"])
    _rule(stream, height - 6)
    return height - 6 - _ROW


def _line(stream: pydyf.Stream, line: Doc, words: dict[str, str], height: int) -> int:
    _write(stream, _LEFT, height, (line["description"] or "")[:64])
    _write(stream, 410, height, str(line["quantity"] or ""))
    _figure(stream, height, money(line["amount"], line["currency"]))
    period = line["period"]
    if period["end"] > period["start"]:
        height -= 12
        _write(stream, _LEFT, height, f"{_day(period['start'], words)} – {_day(period['end'], words)}", size=8)
    return height - _ROW


def _sums(stream: pydyf.Stream, invoice: Doc, words: dict[str, str], height: int) -> None:
    currency = invoice["currency"]
    rows = [(words["subtotal"], invoice["subtotal"])]
    rows += [(words["discount"], -each["amount"]) for each in invoice["total_discount_amounts"] or [] if each["amount"]]
    for tax in invoice["total_taxes"] or []:
        rate = f"{int(tax['tax_rate_details']['tax_rate'][-5:]) / 100:g} %"
        note = f", {words['included']}" if tax["tax_behavior"] == "inclusive" else ""
        rows.append((f"{words['tax']} {rate}{note}", tax["amount"]))
    rows.append((words["total"], invoice["total"]))
    if invoice["total"] != invoice["amount_due"]:
        rows.append((words["balance"], invoice["amount_due"] - invoice["total"]))
    last = words["paid"] if invoice["status"] == "paid" else words["due"]
    rows.append((last, invoice["amount_paid"] if invoice["status"] == "paid" else invoice["amount_remaining"]))
    _rule(stream, height + 12)
    for name, amount in rows:
        height -= _ROW
        _write(stream, 300, height, name, font=_BOLD if name in (words["total"], last) else _PLAIN)
        _figure(stream, height, money(amount, currency))


def _write(stream: pydyf.Stream, left: float, height: int, text: str, *, font: str = _PLAIN, size: int = 10) -> None:
    stream.begin_text()
    stream.set_font_size(font, size)
    stream.move_text_to(left, height)
    stream.show_text_string(text.encode("cp1252", errors="replace"))
    stream.end_text()


def _figure(stream: pydyf.Stream, height: int, text: str) -> None:
    """Text that ends at the right margin."""
    _write(stream, _RIGHT - 10 * _FIGURE_WIDTH * len(text), height, text, font=_FIGURES)


def _rule(stream: pydyf.Stream, height: int) -> None:
    stream.set_line_width(0.5)
    stream.move_to(_LEFT, height)
    stream.line_to(_RIGHT, height)
    stream.stroke()


def _day(seconds: int, words: dict[str, str]) -> str:
    date = datetime.fromtimestamp(seconds, UTC)
    return f"{date.day} {words['months'].split()[date.month - 1]} {date.year}"


def _bound(pages: list[pydyf.Stream], title: str) -> bytes:
    document = pydyf.PDF()
    document.info["Title"] = pydyf.String(title)
    document.info["Producer"] = pydyf.String("Tollhouse sandbox")
    fonts = pydyf.Dictionary()
    for name, face in ((_PLAIN, "Helvetica"), (_BOLD, "Helvetica-Bold"), (_FIGURES, "Courier")):
        font = pydyf.Dictionary(
            {"Type": "/Font", "Subtype": "/Type1", "BaseFont": f"/{face}", "Encoding": "/WinAnsiEncoding"}
        )
        document.add_object(font)
        fonts[name] = font.reference
    for stream in pages:
        document.add_object(stream)
        document.add_page(
            pydyf.Dictionary(
                {
                    "Type": "/Page",
                    "Parent": document.pages.reference,
                    "MediaBox": pydyf.Array([0, 0, _WIDTH, _HEIGHT]),
                    "Contents": stream.reference,
                    "Resources": pydyf.Dictionary({"Font": fonts}),
                }
            )
        )
    written = BytesIO()
    document.write(written)
    return written.getvalue()
