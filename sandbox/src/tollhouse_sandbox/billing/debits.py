"""What follows when a bank answers, days later, what became of a debit."""

from tollhouse_sandbox.billing import checkout, invoices, payment_methods, payments, subscriptions
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.world import World


def settle(world: World, intent: Doc) -> None:
    """The debit has been carried out or not: the invoice is paid or owed, and the Checkout page's buyer is told."""
    decline = payments.answer_of_the_bank(world, intent)
    invoice = world.store.get("invoice", world.private(intent["id"]).get("invoice", ""))
    if invoice and invoice["status"] == "open":
        invoices.settle_debit(world, invoice, intent)
        subscriptions.settle_invoice(world, invoice)
    session = world.store.get("checkout.session", world.private(intent["id"]).get("session", ""))
    if session and session["payment_status"] == "unpaid":
        checkout.tell_of_the_bank(world, session, paid=decline is None)
    method = world.store.get("payment_method", intent["payment_method"] or "")
    if decline is None and method and intent["customer"] and intent["setup_future_usage"]:
        payment_methods.bind(world, method, intent["customer"])


def plan_answer(world: World, intent: Doc) -> None:
    """Puts the bank's answer to a debit under way on the agenda, after a restart."""
    at = world.private(intent["id"]).get("bank_answers_at")
    if intent["status"] == "processing" and at is not None:
        world.plan_for(at, "debit", intent["id"])
