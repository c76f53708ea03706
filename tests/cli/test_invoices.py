"""`tollhouse invoices list|fetch`: what a customer paid, and Stripe's PDFs of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.cli.running import CommandLine
from tests.support.serving import SESSION_SECRET
from tollhouse import presets
from tollhouse.billing.linking import link
from tollhouse.catalog import load_catalog
from tollhouse.customers.actions import create_or_get
from tollhouse.customers.model import NewCustomer
from tollhouse.store import open_store
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import Running, running_in_thread

AURION = (Path(presets.__file__).parent / "aurion.toml").read_text()
KEY = "sk_test_invoices"


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with running_in_thread(Config(port=0, smtp_port=None)) as running:
        yield running


@pytest.fixture
def installed(tollhouse: CommandLine, schema_url: str, sandbox: Running) -> CommandLine:
    """AURION with one customer, whom the product knows as 42, and who paid an invoice in yen and one of nothing."""
    client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, max_network_retries=0)
    payer = client.v1.customers.create({"email": "ada@example.com"})
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": card.id}})
    nothing = client.v1.invoices.create({"customer": payer.id})
    client.v1.invoices.finalize_invoice(nothing.id)
    client.v1.invoice_items.create({"customer": payer.id, "amount": 1_500, "currency": "jpy", "description": "Work"})
    made = client.v1.invoices.create(
        {"customer": payer.id, "currency": "jpy", "pending_invoice_items_behavior": "include"}
    )
    client.v1.invoices.pay(made.id)
    tollhouse.set(
        ENVIRONMENT="test", DATABASE_URL=schema_url, SESSION_SECRET=SESSION_SECRET, STRIPE_SECRET_KEY=KEY,
        STRIPE_API_BASE=sandbox.url, STRIPE_WEBHOOK_SECRET="whsec_" + "x" * 32,
    )  # fmt: skip
    (tollhouse.directory / "tollhouse.toml").write_text(AURION)
    asyncio.run(_customer(tollhouse, schema_url, payer.id))
    assert tollhouse("stripe", "reconcile", "--customer", "42", "--why", "moved here").status == 0
    return tollhouse


async def _customer(tollhouse: CommandLine, url: str, stripe_id: str) -> None:
    store = await open_store(url)
    catalog = load_catalog(tollhouse.directory / "tollhouse.toml")
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        made = await create_or_get(tx, catalog, NewCustomer("ada@example.com", "42"), now)
        assert await link(tx, stripe_id, made.customer, now)
    await store.close()


def items(installed: CommandLine) -> list[dict[str, Any]]:
    """What the list says, the largest first (both are of one second)."""
    found = json.loads(installed("invoices", "list", "42", "--json").out)["items"]
    return sorted(found, key=lambda one: -one["total_minor"])


@pytest.mark.row("S21")
def test_invoices_are_listed_and_their_pdfs_fetched_once(installed: CommandLine) -> None:
    listed = items(installed)
    assert [(one["status"], one["total_minor"], one["currency"], one["pdf"]) for one in listed] == [
        ("paid", 1_500, "jpy", "awaited"), ("paid", 0, "usd", "none"),
    ]  # fmt: skip
    assert "1,500 JPY" in installed("invoices", "list", "42").out

    fetched = json.loads(installed("invoices", "fetch", "42", "--to", "pdfs", "--json").out)
    assert [(one["invoice"], one["error"]) for one in fetched["fetched"]] == [(listed[0]["id"], None)]
    [path] = fetched["written"]
    assert path == f"pdfs/{listed[0]['number']}.pdf"
    assert (installed.directory / path).read_bytes().startswith(b"%PDF-")
    assert items(installed)[0]["pdf"] == "kept"
    assert installed("invoices", "fetch", "42").out == "nothing is missing\n"


def test_what_cannot_be_fetched_is_told(installed: CommandLine, sandbox: Running) -> None:
    for invoice in sandbox.app_state.store.newest("invoice"):
        invoice["invoice_pdf"] = f"{sandbox.url}/nowhere"
    ran = installed("invoices", "fetch", "42")
    assert ran.status == 1
    assert "its address answers 404" in ran.out
    assert "1 of 1 could not be fetched" in ran.err
    [failed, _] = items(installed)
    assert (failed["pdf"], "answers 404" in failed["pdf_error"]) == ("awaited", True)


def test_nobody_is_told_as_nobody(installed: CommandLine) -> None:
    for command in ("list", "fetch"):
        ran = installed("invoices", command, "nobody")
        assert (ran.status, "nobody" in ran.err) == (1, True)
