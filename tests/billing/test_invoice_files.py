"""Each paid invoice's PDF: fetched once, kept, and its receipt sent once, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import SimpleNamespace
from typing import cast

import msgspec
import pypdf
import pytest

from tests.billing.steps import stripe_id_of
from tests.billing.world import KEY, World
from tollhouse.alerts.actions import Messenger
from tollhouse.billing.actions import InvoiceView, ask_again, invoices_of, read_file
from tollhouse.billing.files import RECEIPT_WAITS_MS, RECEIPT_WITHIN_MS, Fetcher
from tollhouse.billing.linking import tell_language
from tollhouse.billing.reconciling import Reconciler, begin
from tollhouse.billing.refreshing import refresh
from tollhouse.billing.stripe import StripeGateway, translate, wire
from tollhouse.billing.stripe.downloads import LARGEST_PDF_BYTES, download
from tollhouse.customers.language import choose_language
from tollhouse.house import House
from tollhouse.kernel.clock import DAY, MINUTE
from tollhouse.kernel.errors import NotFound, Unavailable
from tollhouse.store import Sql
from tollhouse.store.inbox import MOST_ATTEMPTS
from tollhouse.store.outbox import Outgoing
from tollhouse.worker.handing import hand_over


async def fetch(world: World, gateway: StripeGateway | None = None) -> None:
    """The worker fetches all that is due now."""
    while await Fetcher(world.store, gateway or world.gateway).work_once():
        pass


async def listed(world: World, customer: str) -> list[InvoiceView]:
    async with world.store.reading() as tx:
        return await invoices_of(tx, customer)


async def pdf_of(world: World, customer: str, invoice: str) -> str:
    """What its reader sees."""
    async with world.store.reading() as tx:
        file = await read_file(tx, customer, invoice)
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(file.pdf), strict=True).pages)


async def bought(world: World, email: str = "ada@example.com", plan: str = "starter") -> tuple[str, InvoiceView]:
    customer = await world.customer(email)
    await world.buy(customer, plan)
    await world.catch_up()
    return customer, (await listed(world, customer))[0]


@pytest.fixture
async def broken(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StripeGateway]:
    """Stripe, where nobody answers."""
    monkeypatch.setattr("tollhouse.billing.stripe.gateway.RETRIES", 0)
    gateway = StripeGateway(KEY, api_base="http://127.0.0.1:1")
    yield gateway
    await gateway.close()


@pytest.mark.row("S21")
async def test_a_paid_invoice_has_its_pdf_by_itself_and_one_receipt(world: World) -> None:
    ada, invoice = await bought(world)
    assert (invoice.status, invoice.file) == ("paid", "awaited")
    await fetch(world)
    text = await pdf_of(world, ada, invoice.id)
    assert str(invoice.number) in text
    assert "$9.00" in text
    assert "Montant payé" in text  # the customer's language
    assert [view.file for view in await listed(world, ada)] == ["kept"]
    assert [(fact["customer"], fact["invoice"]) for fact in await world.facts("receipt.requested")] == [
        (ada, invoice.id)
    ]


async def test_events_that_come_again_fetch_and_tell_nothing_again(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()
    for _ in range(3):
        await world.receive(reversed(events))
        await world.work()
        await fetch(world)
        await refresh(world.till, ada)
        async with world.store.transaction() as tx:
            await tx.execute(Sql("update inbox set status = 'pending', due_at = 0"))
    assert len(await world.facts("receipt.requested")) == 1
    async with world.store.reading() as tx:
        rows = await tx.fetch(Sql("select attempts, pdf from invoice_file"))
    assert [(row["attempts"], row["pdf"] is not None) for row in rows] == [(0, True)]


async def test_two_workers_at_once_keep_one_and_tell_once(world: World) -> None:
    await bought(world)
    one, other = Fetcher(world.store, world.gateway), Fetcher(world.store, world.gateway)
    async with world.store.reading() as tx:
        due = await tx.fetch(Sql("select customer, invoice, attempts, receipt_by from invoice_file"))
    await one._fetch_all(due)
    await other._fetch_all(due)
    assert len(await world.facts("receipt.requested")) == 1


async def test_whoever_died_while_fetching_is_followed_by_another(world: World) -> None:
    ada, invoice = await bought(world)
    async with world.store.transaction() as tx:  # as a worker leaves it that was killed
        await tx.execute(Sql("update invoice_file set due_at = :at"), at=world.store.clock.now_ms() + 2 * MINUTE)
    await fetch(world)
    assert (await listed(world, ada))[0].file == "awaited"
    world.store.clock.test_offset_ms += 3 * MINUTE
    await fetch(world)
    assert str(invoice.number) in await pdf_of(world, ada, invoice.id)


async def test_a_failure_is_tried_again_with_pauses_and_the_receipt_does_not_wait_for_ever(
    world: World, broken: StripeGateway
) -> None:
    ada, invoice = await bought(world)
    await fetch(world, broken)
    [view] = await listed(world, ada)
    assert view.file == "awaited"
    assert "Stripe did not answer" in str(view.file_error)
    assert await world.facts("receipt.requested") == []

    world.store.clock.test_offset_ms += RECEIPT_WAITS_MS
    await fetch(world, broken)
    assert [fact["invoice"] for fact in await world.facts("receipt.requested")] == [invoice.id]

    for _ in range(MOST_ATTEMPTS):
        world.store.clock.test_offset_ms += 60 * MINUTE
        await fetch(world, broken)
    assert [view.file for view in await listed(world, ada)] == ["failed"]
    alerts = [fact for fact in await world.facts("operator.alert") if fact["key"] == f"invoice_pdf:{invoice.id}"]
    assert len(alerts) == 1
    assert f"tollhouse invoices fetch {ada}" in alerts[0]["fix"]

    async with world.store.transaction() as tx:
        assert await ask_again(tx, ada, world.store.clock.now_ms()) == 1
    await fetch(world)
    assert str(invoice.number) in await pdf_of(world, ada, invoice.id)
    assert len(await world.facts("receipt.requested")) == 1


async def test_an_invoice_of_nothing_has_no_pdf_and_no_receipt(world: World) -> None:
    ada = await world.customer()
    await bought(world, "bob@example.com")
    stripe_id = (await world.stripe("post", "/v1/customers", metadata={"tollhouse_customer": ada}))["id"]
    made = await world.stripe("post", "/v1/invoices", customer=stripe_id)
    await world.stripe("post", f"/v1/invoices/{made['id']}/finalize")
    await world.catch_up()
    await fetch(world)
    [view] = await listed(world, ada)
    assert (view.status, view.total.amount_minor, view.file) == ("paid", 0, "none")
    assert made["id"] not in [fact["invoice"] for fact in await world.facts("receipt.requested")]


async def test_an_old_payment_is_kept_and_told_to_nobody(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    events = await world.new_events()
    world.store.clock.test_offset_ms += RECEIPT_WITHIN_MS + DAY
    await world.receive(events)
    await world.work()
    await fetch(world)
    assert [view.file for view in await listed(world, ada)] == ["kept"]
    assert await world.facts("receipt.requested") == []


async def test_nobody_reads_anothers_invoice(world: World) -> None:
    ada, invoice = await bought(world)
    bob = await world.customer("bob@example.com")
    await fetch(world)
    for stranger, asked in ((bob, invoice.id), (ada, "in_none"), (ada, "\0"), (ada, "x" * 300)):
        async with world.store.reading() as tx:
            with pytest.raises(NotFound):
                await read_file(tx, stranger, asked)


async def test_what_is_given_back_stands_with_the_invoice_and_is_found_when_its_event_is_lost(world: World) -> None:
    ada, invoice = await bought(world)
    stripe_id = await stripe_id_of(world, ada)
    [charge] = (await world.stripe("get", "/v1/charges", customer=stripe_id))["data"]
    await world.stripe("post", "/v1/refunds", charge=charge["id"], amount=300)
    await world.catch_up()
    assert [view.refunded.amount_minor for view in await listed(world, ada)] == [300]

    await world.stripe("post", "/v1/refunds", charge=charge["id"])
    await world.new_events()  # lost
    await refresh(world.till, ada)  # looks at no refunds, and forgets none
    assert [view.refunded.amount_minor for view in await listed(world, ada)] == [300]
    async with world.store.transaction() as tx:
        run = await begin(
            tx, by_whom="staff", why="a look", dry_run=False, now=world.store.clock.now_ms(), only=stripe_id
        )
    _, [compared] = await Reconciler(world.store, world.catalog, world.gateway).step(run)
    assert [(d.ours, d.stripes) for d in compared.differences] == [("3.00 USD", "9.00 USD")]
    assert [(view.status, view.refunded.amount_minor) for view in await listed(world, ada)] == [("paid", 900)]
    assert invoice.total.amount_minor == 900


async def test_a_chosen_language_reaches_stripe_and_its_next_invoice(world: World) -> None:
    ada, _ = await bought(world)
    stripe_id = await stripe_id_of(world, ada)
    async with world.store.transaction() as tx:
        await tx.execute(
            Sql(
                "insert into member (user_id, customer, role, created_at, confirmed_at) values ('usr_1', :c, 'owner', 1, 1)"
            ),
            c=ada,
        )
        for _ in range(2):  # the second time nothing changes
            await choose_language(tx, "usr_1", "en", world.store.clock.now_ms())
    [fact] = await world.facts("customer.language.chosen")
    assert (fact["customer"], fact["locale"]) == (ada, "en")
    await tell_language(world.store, world.gateway, ada)
    assert (await world.stripe("get", f"/v1/customers/{stripe_id}"))["preferred_locales"] == ["en"]
    await world.pass_days(32)
    await world.catch_up()
    await fetch(world)
    assert "Amount paid" in await pdf_of(world, ada, (await listed(world, ada))[0].id)


async def test_a_choice_that_is_told_late_does_not_undo_a_newer_one(world: World) -> None:
    """Stripe did not answer when the first was chosen; it is told again after the second."""
    ada, _ = await bought(world)
    house = cast(House, SimpleNamespace(store=world.store, stripe=world.gateway))
    first = Outgoing("evt_1", "customer.language.chosen", ada, f'{{"customer":"{ada}","locale":"fr"}}', 1, 3, 1)
    async with world.store.transaction() as tx:
        await tx.execute(Sql("update customer set locale = 'en' where id = :id"), id=ada)
    await hand_over(house, cast(Messenger, None))(first)
    told = await world.stripe("get", f"/v1/customers/{await stripe_id_of(world, ada)}")
    assert told["preferred_locales"] == ["en"]


def test_credit_notes_of_either_kind_are_read() -> None:
    given = {
        "id": "in_1", "created": 1, "currency": "usd", "lines": {"data": [], "has_more": False}, "total": 900,
        "pre_payment_credit_notes_amount": 100, "post_payment_credit_notes_amount": 50,
    }  # fmt: skip
    assert translate.invoice(msgspec.convert(given, wire.Invoice)).credited_minor == 150
    assert (
        translate.invoice(
            msgspec.convert(given | dict.fromkeys(given.keys() & CREDITS, 0), wire.Invoice)
        ).credited_minor
        is None
    )


CREDITS = {"pre_payment_credit_notes_amount", "post_payment_credit_notes_amount"}
ANSWERS = {
    "/page": (200, b"<html>"),
    "/gone": (404, b"%PDF-1.7"),
    "/large": (200, b"%PDF-" + b"x" * LARGEST_PDF_BYTES),
    "/file": (200, b"%PDF-1.7"),
}


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/file")
            self.end_headers()
            return
        status, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def files_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "why"), [("/page", "no PDF"), ("/gone", "answers 404"), ("/large", "larger than 2097152 bytes")]
)
async def test_what_is_no_pdf_is_not_kept(files_server: str, path: str, why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        await download(files_server + path, plain=True)


async def test_a_file_that_has_moved_is_followed_and_only_encrypted_ones_are_read(files_server: str) -> None:
    assert await download(files_server + "/moved", plain=True) == b"%PDF-1.7"
    with pytest.raises(Unavailable, match="not encrypted"):
        await download(files_server + "/file")
    with pytest.raises(Unavailable, match="does not answer"):
        await download("https://127.0.0.1:1/file")


async def test_of_two_invoices_of_one_second_the_later_number_comes_first(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter")
    await world.pass_days(40)
    await world.catch_up()
    async with world.store.transaction() as tx:
        ids = [row["id"] for row in await tx.fetch(Sql("select id from invoice order by id desc"))]
        for number, id in enumerate(ids):
            change = Sql("update invoice set created_at = 1000, number = :number where id = :id")
            await tx.execute(change, number=f"TOLL-000{number}", id=id)
        found = [str(invoice.number) for invoice in await invoices_of(tx, ada)]
    assert len(found) > 1
    assert found == sorted(found, reverse=True)
