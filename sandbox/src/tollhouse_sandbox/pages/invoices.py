"""An invoice as its customer reads it, and pays it while it is open."""

from tollhouse_sandbox.billing import invoices, payment_methods, subscriptions
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.http import Request, Response, redirect
from tollhouse_sandbox.pages import card_form
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.world import World


def invoice(world: World, request: Request, key: str) -> Response:
    """The invoice; an open one takes a card."""
    document = world.store.get("invoice", key)
    if document is None:
        text = "Check the link: this invoice does not exist."
        return page(world, "notice.html", status=404, title="Invoice not found", text=text, link=None)
    if request.method != "POST":
        return _show(world, document, card_form.EMPTY, {})
    intent = invoices.intent_of(world, document)
    if document["status"] != "open" or (intent and intent["status"] == "processing"):
        return redirect(f"/invoice/{key}")
    typed, card, errors = card_form.read(request.form(), world.clock.now())
    if card is None:
        return _show(world, document, typed, errors)
    billing = {"email": document["customer_email"], "name": typed["name"]}
    method = payment_methods.create(world, card, livemode=document["livemode"], billing=billing)
    return _pay(world, document, method, typed)


def _pay(world: World, document: Doc, method: Doc, typed: dict[str, str]) -> Response:
    address = f"{world.base_url}/invoice/{document['id']}"
    decline = invoices.collect(world, document, method, off_session=False, return_url=address)
    if decline:
        return _show(world, document, typed, card_form.errors_of(decline))
    intent = invoices.intent_of(world, document)
    if intent and intent["status"] == "requires_action":
        return redirect(intent["next_action"]["redirect_to_url"]["url"])
    payment_methods.bind(world, method, document["customer"])
    subscriptions.settle_invoice(world, document)
    return redirect(address)


def _show(world: World, document: Doc, typed: dict[str, str], errors: dict[str, str]) -> Response:
    status = 402 if errors else 200
    intent = invoices.intent_of(world, document)
    waits = intent is not None and intent["status"] == "processing"
    bank = None
    if intent and intent["status"] == "requires_action":
        bank = intent["next_action"]["redirect_to_url"]["url"]
    return page(
        world, "invoice.html", status=status, invoice=document, typed=typed, errors=errors, waits=waits, bank=bank
    )
