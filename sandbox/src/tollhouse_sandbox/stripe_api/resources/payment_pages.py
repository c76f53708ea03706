"""`/v1/payment_pages`: a Checkout session as its hosted page, and `stripe trigger`, read and submit it."""

from tollhouse_sandbox.billing import checkout, payment_methods
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import card_error, invalid
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.params import INTEGER, TEXT, Spec, one_of, required

_CONFIRM: Spec = {
    "expected_amount": INTEGER,
    "expected_payment_method_type": one_of("card", "sepa_debit"),
    "payment_method": required(TEXT),
}


def retrieve(call: Call) -> Doc:
    """The session of the page."""
    return call.find("checkout.session", call.ids[0])


def confirm(call: Call) -> Doc:
    """Pays; a decline is a 402, and a card that wants its owner leaves the session open."""
    session = call.find("checkout.session", call.ids[0])
    given = call.read(_CONFIRM)
    if session["status"] != "open":
        raise invalid("This Checkout Session is no longer active.", code="checkout_not_active_session")
    if given.get("expected_amount", session["amount_total"]) != session["amount_total"]:
        raise invalid(
            f"The expected amount {given['expected_amount']} is not the amount of this Checkout Session,"
            f" {session['amount_total']}.",
            "expected_amount",
            "checkout_amount_mismatch",
        )
    method = payment_methods.resolve(call.world, given["payment_method"], livemode=call.livemode)
    decline = checkout.confirm(call.world, session, method).decline
    if decline:
        raise card_error(decline.code, decline.message, decline.decline_code)
    return session
