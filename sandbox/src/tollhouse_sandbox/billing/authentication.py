"""What follows when a card's owner has answered the bank, away from the Checkout page."""

from tollhouse_sandbox.billing import invoices, payment_methods, payments, portal, setups, subscriptions
from tollhouse_sandbox.cards import Decline
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.world import World


def waiting(world: World, key: str) -> Doc | None:
    """The payment or setup intent of that id, if it waits for its owner."""
    intent = world.store.get("payment_intent", key) or world.store.get("setup_intent", key)
    return intent if intent and intent["status"] == "requires_action" else None


def conclude(world: World, intent: Doc, *, success: bool) -> Decline | None:
    """Completes or fails the authentication; a paid invoice activates its subscription. Answers the decline, if any."""
    method = world.store.get("payment_method", intent["payment_method"])
    if method is None:
        return None
    if intent["object"] == "setup_intent":
        return _conclude_setup(world, intent, method) if success else setups.refuse(world, intent, method)
    if not success:
        return payments.refuse_authentication(world, intent, method)
    invoice = world.store.get("invoice", world.private(intent["id"]).get("invoice", ""))
    if invoice is None:
        decline = payments.confirm(world, intent, method, off_session=False, authenticated=True)
        if decline is None and intent["customer"] and intent["setup_future_usage"]:
            payment_methods.bind(world, method, intent["customer"])
        return decline
    decline = invoices.collect(world, invoice, method, off_session=False, authenticated=True)
    subscriptions.settle_invoice(world, invoice)
    return decline


def _conclude_setup(world: World, intent: Doc, method: Doc) -> Decline | None:
    decline = setups.confirm(world, intent, method, authenticated=True)
    customer = world.store.get("customer", intent["customer"] or "")
    if decline is None and customer and world.private(intent["id"]).get("for_every_payment"):
        portal.use_card(world, customer, method)
    return decline
