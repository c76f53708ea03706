"""Invoices as their customer has them: a list, a PDF each, a receipt by e-mail; and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pypdf
import pytest

from tests.alerts.test_letters import Postbox, postbox, smtp_url  # noqa: F401 (fixtures)
from tests.billing.world import PAYS, _submit
from tests.web.street import Person, Street, opened
from tollhouse.alerts.actions import Messenger
from tollhouse.alerts.channels.email import Mailer, Sender
from tollhouse.billing.actions import ensure_prices, invoices_of
from tollhouse.billing.files import Fetcher
from tollhouse.identity.actions import set_staff_role
from tollhouse.store import Sql
from tollhouse.worker.delivering import deliver_once
from tollhouse.worker.handing import hand_over
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running

TYPED = {"email": "ada@example.com", "number": PAYS, "expiry": "12 / 40", "cvc": "123", "name": "Ada"}
REFUND = Sql("update invoice set refunded_minor = :minor, credited_minor = :credited")


@pytest.fixture
async def shop(schema_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    """AURION, with the sandbox as Stripe."""
    async with (
        running(Config(port=0, smtp_port=None)) as sandbox,
        opened(schema_url, "aurion", tmp_path, STRIPE_SECRET_KEY="sk_test_web", STRIPE_API_BASE=sandbox.url) as street,
    ):
        assert street.house.stripe is not None
        await ensure_prices(street.house.store, street.house.stripe, street.house.catalog)
        yield street


async def buy(person: Person, language: str = "fr") -> None:
    """Sign up, choose a language, buy the first plan, come back."""
    await person.sign_up()
    await person.submit("/app/settings", "/app/settings/profile", name="Ada", locale=language)
    await work(person.street)
    sent = await person.submit("/pricing", "/app/billing/checkout", plan="starter")
    await asyncio.to_thread(_submit, sent.headers["location"], TYPED)
    await person.open("/app/billing?portal=back")


async def work(street: Street, smtp: str | None = None) -> None:
    """The worker fetches what is due and tells what there is to tell."""
    assert street.house.stripe is not None
    while await Fetcher(street.house.store, street.house.stripe).work_once():
        pass
    sender = Sender("AURION", "AURION <hello@aurion.app>")
    messenger = Messenger(sender, Mailer(smtp), "test", "fr", "https://aurion.app/admin", None)
    while await deliver_once(street.house.store, hand_over(street.house, messenger)):
        pass


async def pdf_path(street: Street) -> str:
    async with street.house.store.reading() as tx:
        [invoice] = await invoices_of(tx, await street.customer("ada@example.com"))
    return f"/app/billing/invoices/{invoice.id}/pdf"


@pytest.mark.row("S21")
async def test_a_customer_downloads_its_invoice_and_a_stranger_finds_nothing(shop: Street) -> None:
    async with shop.somebody() as ada, shop.somebody() as bob, shop.somebody() as nobody:
        await buy(ada)
        path = await pdf_path(shop)
        assert path not in (await ada.open("/app/billing")).text
        assert (await ada.open(path)).status_code == 404

        await work(shop)
        page = (await ada.open("/app/billing")).text
        assert path in page
        answer = await ada.open(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
        assert answer.headers["content-disposition"].startswith('attachment; filename="')
        assert "no-store" in answer.headers["cache-control"]
        text = pypdf.PdfReader(BytesIO(answer.content), strict=True).pages[0].extract_text()
        assert "Montant payé" in text

        await bob.sign_up("bob@example.com")
        assert (await bob.open(path)).status_code == 404
        assert (await bob.open("/app/billing/invoices/in_none/pdf")).status_code == 404
        assert (await nobody.open(path)).headers["location"].startswith("/login")


async def test_staff_have_the_same_on_the_customers_page(shop: Street) -> None:
    async with shop.somebody() as ada, shop.somebody() as grace:
        await buy(ada)
        await work(shop)
        await grace.sign_up("grace@example.com")
        async with shop.house.store.transaction() as tx:
            await set_staff_role(tx, "grace@example.com", "admin", shop.house.store.clock.now_ms())
        customer = await shop.customer("ada@example.com")
        path = (await pdf_path(shop)).replace("/app/billing", f"/admin/customers/{customer}")
        assert path in (await grace.open(f"/admin/customers/{customer}")).text
        assert (await grace.open(path)).content.startswith(b"%PDF-")
        assert (await ada.open(path)).status_code == 403

        page = f"/admin/customers/{customer}"
        async with shop.house.store.transaction() as tx:
            await tx.execute(Sql("update invoice_file set pdf = null, fetched_at = null, error = 'Stripe was away'"))
        assert "Stripe was away" in (await grace.open(page)).text
        assert (await grace.submit(page, f"{page}/invoices/fetch")).status_code == 303
        await work(shop)
        assert "Stripe was away" not in (await grace.open(page)).text
        assert (await grace.open(path)).status_code == 200


async def test_what_was_given_back_is_said(shop: Street) -> None:
    async with shop.somebody() as ada:
        await buy(ada, "en")
        for refunded, credited, said in (
            (300, 0, "$3 given back"), (0, 100, "$1 taken off by a credit note"), (900, 0, "Given back"),
        ):  # fmt: skip
            async with shop.house.store.transaction() as tx:
                await tx.execute(REFUND, minor=refunded or None, credited=credited or None)
            page = (await ada.open("/app/billing")).text
            assert said in page
            assert ("badge-good" in page) is (refunded < 900)


@pytest.mark.row("S21")
@pytest.mark.parametrize(
    ("language", "subject", "button"),
    [
        ("fr", "Votre reçu AURION : 9,00", "Voir mes factures"),
        ("en", "Your receipt from AURION: $9.00", "See my invoices"),
    ],
)
async def test_the_receipt_brings_the_pdf_in_the_customers_language(
    shop: Street,
    postbox: Postbox,  # noqa: F811
    smtp_url: str,  # noqa: F811
    language: str,
    subject: str,
    button: str,
) -> None:
    async with shop.somebody() as ada:
        await buy(ada, language)
    await work(shop, smtp_url)
    [receipt] = [mail for mail in postbox.received if subject in str(mail["Subject"])]
    assert str(receipt["To"]) == "ada@example.com"
    plain = receipt.get_body(("plain",))
    assert plain is not None
    assert button in plain.get_content()
    assert "/app/billing#invoices" in plain.get_content()
    [file] = list(receipt.iter_attachments())
    assert (file.get_content_type(), str(file.get_filename()).endswith(".pdf")) == ("application/pdf", True)
    text = pypdf.PdfReader(BytesIO(file.get_content()), strict=True).pages[0].extract_text()
    assert ("Montant payé" if language == "fr" else "Amount paid") in text

    async with shop.house.store.transaction() as tx:  # as if the worker had died after the mail server took it
        await tx.execute(Sql("update outbox set done_at = null, due_at = 0 where fact = 'receipt.requested'"))
        await tx.execute(Sql("update invoice_file set pdf = null"))
    await work(shop, smtp_url)
    again = postbox.received[-1]
    assert again["Message-ID"] == receipt["Message-ID"]
    assert list(again.iter_attachments()) == []


async def test_without_receipts_the_file_says_so(schema_url: str, tmp_path: Path) -> None:
    async with (
        running(Config(port=0, smtp_port=None)) as sandbox,
        opened(
            schema_url, "aurion", tmp_path, lambda text: text + "\n[billing]\nreceipts = false\n",
            STRIPE_SECRET_KEY="sk_test_web", STRIPE_API_BASE=sandbox.url,
        ) as street,
        street.somebody() as ada,
    ):  # fmt: skip
        assert street.house.stripe is not None
        await ensure_prices(street.house.store, street.house.stripe, street.house.catalog)
        await buy(ada)
        await work(street)
        assert await pdf_path(street) in (await ada.open("/app/billing")).text
        async with street.house.store.reading() as tx:
            assert await tx.fetch(Sql("select 1 as one from outbox where fact = 'receipt.requested'")) == []
