"""Invoices from the end of the draft to paid, and what becomes of them when a card is declined."""

from tollhouse_sandbox.billing import payments
from tollhouse_sandbox.cards import Decline
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World

_NO_CARD = Decline("invoice_no_payment_method_types", "This customer has no default payment method.")


def finalize(world: World, invoice: Doc, intent: Doc | None = None) -> None:
    """Numbers and opens a draft with the payment intent that will collect it, a new one unless given.

    Where nothing is due, it is paid at once.
    """
    customer = world.store.get("customer", invoice["customer"])
    if customer is None:
        return
    now = world.clock.now()
    sequence = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = sequence + 1
    _apply_balance(world, invoice, customer)
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{sequence:04d}",
        effective_at=now,
        automatically_finalizes_at=None,
        hosted_invoice_url=f"{world.base_url}/invoice/{invoice['id']}",
        invoice_pdf=f"{world.base_url}/invoice/{invoice['id']}/pdf",
        next_payment_attempt=None,
    )
    invoice["status_transitions"]["finalized_at"] = now
    world.store.put("invoice", invoice)
    world.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        _mark_paid(world, invoice, None)
        return
    _add_payment(world, invoice, intent or _new_intent(world, invoice))


def _apply_balance(world: World, invoice: Doc, customer: Doc) -> None:
    """A credit (a negative balance) is used first; an invoice below zero adds to it."""
    before = snapshot(customer)
    starting = customer["balance"]
    due = max(0, invoice["total"] + starting)
    ending = invoice["total"] + starting - due
    invoice.update(starting_balance=starting, ending_balance=ending, amount_due=due, amount_remaining=due)
    customer["balance"] = ending
    world.store.put("customer", customer)
    if ending != starting:
        world.emit_change("customer.updated", customer, before)


def _new_intent(world: World, invoice: Doc) -> Doc:
    recurs = invoice["billing_reason"] != "manual"
    return payments.create_intent(
        world,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        livemode=invoice["livemode"],
        customer=invoice["customer"],
        description=_DESCRIPTIONS.get(invoice["billing_reason"], "Subscription update"),
        setup_future_usage="off_session" if recurs else None,
    )


_DESCRIPTIONS = {"manual": "Payment for Invoice", "subscription_create": "Subscription creation"}


def _add_payment(world: World, invoice: Doc, intent: Doc) -> None:
    world.keep_private(intent["id"], invoice=invoice["id"])
    world.store.put(
        "invoice_payment",
        {
            "id": new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": world.clock.now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": invoice["livemode"],
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        },
    )


def payment_of(world: World, invoice: Doc) -> Doc | None:
    """The invoice's default payment."""
    return next((p for p in world.store.where("invoice_payment", "invoice", invoice["id"]) if p["is_default"]), None)


def intent_of(world: World, invoice: Doc) -> Doc | None:
    """The payment intent that collects the invoice."""
    payment = payment_of(world, invoice)
    return world.store.get("payment_intent", payment["payment"]["payment_intent"]) if payment else None


def collect(
    world: World,
    invoice: Doc,
    method: Doc | None,
    *,
    off_session: bool,
    authenticated: bool = False,
    asks_owner: bool = False,
    return_url: str | None = None,
) -> Decline | None:
    """Tries to pay an open invoice. None when it is paid, or waits for its customer's authentication or the bank.

    `asks_owner` waits for that even off session, where the card would be declined otherwise.
    """
    intent = intent_of(world, invoice)
    if intent is None:
        return None
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    if method is None:
        decline: Decline | None = _NO_CARD
    else:
        decline = payments.confirm(
            world,
            intent,
            method,
            off_session=off_session,
            authenticated=authenticated,
            return_url=return_url,
            asks_owner=asks_owner,
        )
    if decline:
        record_failure(world, invoice)
        return decline
    if intent["status"] == "succeeded":
        _mark_paid(world, invoice, intent)
    elif intent["status"] == "processing":
        world.store.put("invoice", invoice)
    else:
        world.store.put("invoice", invoice)
        world.emit("invoice.payment_action_required", invoice)
        if off_session:  # nobody is there to answer: for the invoice that is a failed attempt, too
            record_failure(world, invoice)
    return None


def settle_debit(world: World, invoice: Doc, intent: Doc) -> None:
    """Draws the consequences of a debit that the bank has answered."""
    if intent["status"] == "succeeded":
        _mark_paid(world, invoice, intent)
    else:
        record_failure(world, invoice)


def record_failure(world: World, invoice: Doc) -> None:
    """A failed attempt: when the retries of what collects itself are not over, the next one goes on the agenda.

    A first invoice is tried again only when its subscription has begun already, as it does while a debit is under way.
    """
    pauses = world.config.payment_retry_days
    failures, reason = invoice["attempt_count"], invoice["billing_reason"]
    invoice["next_payment_attempt"] = None
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    owner = world.store.get("subscription", details.get("subscription", ""))
    has_begun = reason != "subscription_create" or (owner is not None and owner["status"] in ("active", "past_due"))
    retried = invoice["auto_advance"] if reason == "manual" else has_begun
    if retried and failures <= len(pauses):
        invoice["next_payment_attempt"] = world.clock.now() + pauses[failures - 1] * 86_400
        world.plan_for(invoice["next_payment_attempt"], "retry", invoice["id"])
    world.store.put("invoice", invoice)
    world.emit("invoice.payment_failed", invoice)


def _mark_paid(world: World, invoice: Doc, intent: Doc | None) -> None:
    now = world.clock.now()
    invoice.update(
        status="paid",
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
    )
    invoice["status_transitions"]["paid_at"] = now
    world.store.put("invoice", invoice)
    payment = payment_of(world, invoice) if intent else None
    if payment:
        payment.update(status="paid", amount_paid=invoice["amount_due"])
        payment["status_transitions"]["paid_at"] = now
        world.store.put("invoice_payment", payment)
        world.emit("invoice_payment.paid", payment)
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)


def stop_collecting(world: World, invoice: Doc) -> None:
    """Leaves an unpaid invoice as it is: no further attempts."""
    before = snapshot(invoice)
    invoice.update(auto_advance=False, next_payment_attempt=None)
    world.emit_change("invoice.updated", invoice, before)


def void(world: World, invoice: Doc) -> None:
    """Declares an unpaid invoice void and cancels its payment intent."""
    invoice.update(status="void", auto_advance=False, next_payment_attempt=None, amount_remaining=0)
    invoice["status_transitions"]["voided_at"] = world.clock.now()
    world.store.put("invoice", invoice)
    world.emit("invoice.voided", invoice)
    _cancel_payment(world, invoice)


def mark_uncollectible(world: World, invoice: Doc) -> None:
    """Gives an open invoice up; it can still be paid, or voided."""
    invoice.update(status="uncollectible", auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"]["marked_uncollectible_at"] = world.clock.now()
    world.store.put("invoice", invoice)
    world.emit("invoice.marked_uncollectible", invoice)


def send(world: World, invoice: Doc) -> None:
    """Tells that the invoice has been sent; in test mode Stripe sends no mail either."""
    world.emit("invoice.sent", invoice)


def settle_elsewhere(world: World, invoice: Doc) -> None:
    """The customer has paid in another way: nothing is charged."""
    _cancel_payment(world, invoice)
    _mark_paid(world, invoice, None)


def _cancel_payment(world: World, invoice: Doc) -> None:
    payment, intent = payment_of(world, invoice), intent_of(world, invoice)
    if payment and payment["status"] == "open":
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = world.clock.now()
        world.store.put("invoice_payment", payment)
    if intent and intent["status"] not in ("succeeded", "canceled"):
        payments.cancel(world, intent, "void_invoice")
