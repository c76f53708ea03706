"""Cards and accounts on file."""

from tollhouse_sandbox import banks
from tollhouse_sandbox.banks import Account
from tollhouse_sandbox.cards import BEHAVIOURS, Behaviour, Card, token_card
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import StripeError, card_error, no_such
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World

NO_ADDRESS: Doc = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}


_KNOWN = {**BEHAVIOURS, **banks.BEHAVIOURS}


def create(
    world: World, means: Card | Account, *, livemode: bool, billing: Doc | None = None, metadata: Doc | None = None
) -> Doc:
    """A payment method of nobody yet. Of the number only the last four digits and a fingerprint are kept."""
    details = {"address": dict(NO_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None}
    for name, value in (billing or {}).items():
        details[name] = {**NO_ADDRESS, **value} if name == "address" and value else value
    method: Doc = {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": details,
        "created": world.clock.now(),
        "customer": None,
        "customer_account": None,
        "livemode": livemode,
        "metadata": metadata or {},
    }
    if isinstance(means, Card):
        method.update(type="card", card=_card_details(means))
    else:
        method.update(type="sepa_debit", sepa_debit=_account_details(means))
    world.keep_private(method["id"], behaviour=means.behaviour, set_up=False)
    return world.store.put("payment_method", method)


def _card_details(card: Card) -> Doc:
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "fingerprint": card.fingerprint,
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _account_details(account: Account) -> Doc:
    return {
        "bank_code": account.bank_code,
        "branch_code": account.branch_code,
        "country": account.country,
        "fingerprint": account.fingerprint,
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": account.last4,
    }


def behaviour_of(world: World, method: Doc) -> Behaviour:
    """What the card or account does when it is used."""
    return _KNOWN[world.private(method["id"])["behaviour"]]


def resolve(world: World, key: str, *, livemode: bool, param: str = "payment_method") -> Doc:
    """The payment method of that id; a test token (`pm_card_visa`) makes a new one."""
    found = world.store.get("payment_method", key)
    if found and found["livemode"] == livemode:
        return found
    card = token_card(key, world.clock.now()) if key.startswith("pm_card_") and not livemode else None
    if card is None:
        raise no_such("payment_method", key, param)
    return create(world, card, livemode=livemode)


def attach(world: World, method: Doc, customer: Doc) -> Doc:
    """Gives the card to the customer; some cards are declined here already."""
    if method["customer"] == customer["id"]:
        return method
    check_attachable(world, method)
    return bind(world, method, customer["id"])


def check_attachable(world: World, method: Doc) -> None:
    """Raises Stripe's error for a card of another customer, and for one that its issuer declines here already."""
    if method["customer"] is not None:
        raise StripeError(
            400,
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_unexpected_state",
        )
    decline = behaviour_of(world, method).attach_decline
    if decline:
        raise card_error(decline.code, decline.message, decline.decline_code, param="")


def bind(world: World, method: Doc, customer: str) -> Doc:
    """Attaches without asking the issuer, as after a payment that has just succeeded."""
    if method["customer"] is None:
        method["customer"] = customer
        world.store.put("payment_method", method)
        world.emit("payment_method.attached", method)
    return method


def detach(world: World, method: Doc) -> Doc:
    """Takes the card off its customer, for good."""
    before = {"customer": method["customer"]}
    method["customer"] = None
    world.store.put("payment_method", method)
    world.emit("payment_method.detached", method, before)
    return method
