"""`/v1/payment_methods`, and a customer's own."""

from tollhouse_sandbox.banks import Account, IbanProblem, typed_account
from tollhouse_sandbox.billing import payment_methods
from tollhouse_sandbox.cards import Card, CardProblem, token_card, typed_card
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import card_error, invalid, missing, no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.method_types import KNOWN
from tollhouse_sandbox.stripe_api.params import (
    ADDRESS,
    CLEARABLE_TEXT,
    METADATA,
    PAGE,
    TEXT,
    Spec,
    fields,
    one_of,
    required,
)

_BILLING = fields(address=ADDRESS, email=CLEARABLE_TEXT, name=CLEARABLE_TEXT, phone=CLEARABLE_TEXT)
CREATE: Spec = {
    "billing_details": _BILLING,
    "card": fields(number=TEXT, exp_month=TEXT, exp_year=TEXT, cvc=TEXT, token=TEXT),
    "metadata": METADATA,
    "sepa_debit": fields(iban=required(TEXT)),
    "type": required(one_of(*KNOWN)),
}
_UPDATE: Spec = {
    "billing_details": _BILLING,
    "card": fields(exp_month=TEXT, exp_year=TEXT),
    "metadata": METADATA,
}
_LIST: Spec = {**PAGE, "customer": TEXT, "type": one_of(*KNOWN)}
_PARAM_OF_FIELD = {"card-number": "number", "card-expiry": "exp_month", "card-cvc": "cvc"}


def create(call: Call) -> Doc:
    """A card or an account that belongs to nobody yet."""
    return create_from(call, call.read(CREATE))


def create_from(call: Call, given: Doc) -> Doc:
    """A payment method from parameters that were read by `CREATE`."""
    return payment_methods.create(
        call.world,
        _account(given) if given["type"] == "sepa_debit" else _card(call, given),
        livemode=call.livemode,
        billing=given.get("billing_details"),
        metadata=merged_metadata({}, given.get("metadata", {})),
    )


def _account(given: Doc) -> Account:
    account, owner = given.get("sepa_debit"), given.get("billing_details") or {}
    if not account:
        raise missing("sepa_debit")
    for name in ("name", "email"):
        if not owner.get(name):
            raise missing(f"billing_details[{name}]")
    try:
        return typed_account(account["iban"])
    except IbanProblem as problem:
        raise invalid(problem.message, "sepa_debit[iban]", problem.code) from None


def _card(call: Call, given: Doc) -> Card:
    card = given.get("card")
    if not card:
        raise missing("card")
    now = call.world.clock.now()
    if "token" in card:
        known = token_card(card["token"], now)
        if known is None:
            raise no_such("token", card["token"], "card[token]")
    else:
        expiry = f"{card.get('exp_month', '')}/{card.get('exp_year', '')}"
        try:
            known = typed_card(card.get("number", ""), expiry, card.get("cvc", "000"), now)
        except CardProblem as problem:
            raise card_error(problem.code, problem.message, param=_PARAM_OF_FIELD[problem.field]) from None
    return known


def retrieve(call: Call) -> Doc:
    """A payment method; a test token makes one."""
    return payment_methods.resolve(call.world, call.ids[0], livemode=call.livemode)


def update(call: Call) -> Doc:
    """Changes billing details, expiry and metadata."""
    method = call.find("payment_method", call.ids[0], "payment_method")
    given = call.read(_UPDATE)
    if method["customer"] is None:
        raise invalid("You must save this PaymentMethod to a customer before you can update it.", "payment_method")
    before = snapshot(method)
    method["billing_details"].update(given.get("billing_details") or {})
    if given.get("card") and method["type"] != "card":
        raise invalid("You cannot update the card of a PaymentMethod of another type.", "card")
    for name, value in (given.get("card") or {}).items():
        if not value.isdigit():
            raise invalid(f"Invalid integer: {value}", f"card[{name}]", "parameter_invalid_integer")
        method["card"][name] = int(value)
    if "metadata" in given:
        method["metadata"] = merged_metadata(method["metadata"], given["metadata"])
    call.world.emit_change("payment_method.updated", method, before)
    return method


def attach(call: Call) -> Doc:
    """Gives the card to a customer."""
    given = call.read({"customer": required(TEXT)})
    customer = call.find("customer", given["customer"], "customer")
    method = payment_methods.resolve(call.world, call.ids[0], livemode=call.livemode)
    return payment_methods.attach(call.world, method, customer)


def detach(call: Call) -> Doc:
    """Takes the card off its customer."""
    method = call.find("payment_method", call.ids[0], "payment_method")
    call.read({})
    if method["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            "payment_method",
        )
    customer = call.world.store.get("customer", method["customer"])
    if customer and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        before = snapshot(customer)
        customer["invoice_settings"]["default_payment_method"] = None
        call.world.emit_change("customer.updated", customer, before)
    return payment_methods.detach(call.world, method)


def list_(call: Call) -> Doc:
    """A customer's cards and accounts, newest first."""
    asked = call.read(_LIST)
    rows = _of_type(call, asked["customer"], asked) if "customer" in asked else []
    return page(call, "payment_method", rows, asked)


def list_of_customer(call: Call) -> Doc:
    """`/v1/customers/{id}/payment_methods`."""
    customer = call.find("customer", call.ids[0])
    asked = call.read({**PAGE, "type": one_of(*KNOWN)})
    return page(call, "payment_method", _of_type(call, customer["id"], asked), asked)


def _of_type(call: Call, customer: str, asked: Doc) -> list[Doc]:
    rows = call.world.store.where("payment_method", "customer", customer)
    return [row for row in rows if asked.get("type") in (None, row["type"])]
