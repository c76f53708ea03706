"""`/v1/invoice_payments`."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.params import PAGE, TEXT, Spec, fields, one_of, required

_LIST: Spec = {
    **PAGE,
    "invoice": TEXT,
    "payment": fields(payment_intent=TEXT, type=required(one_of("payment_intent", "charge", "payment_record"))),
    "status": one_of("canceled", "open", "paid"),
}


def retrieve(call: Call) -> Doc:
    """A payment of an invoice."""
    return call.find("invoice_payment", call.ids[0])


def list_(call: Call) -> Doc:
    """Newest first, by invoice, payment intent and status."""
    asked = call.read(_LIST)
    store = call.world.store
    rows = (
        store.where("invoice_payment", "invoice", asked["invoice"])
        if "invoice" in asked
        else store.newest("invoice_payment")
    )
    intent = (asked.get("payment") or {}).get("payment_intent")
    chosen = (
        row
        for row in rows
        if asked.get("status") in (None, row["status"]) and intent in (None, row["payment"]["payment_intent"])
    )
    return page(call, "invoice_payment", chosen, asked)
