"""Money given back."""

from tollhouse_sandbox.billing.amounts import money
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.errors import StripeError, invalid
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.world import World


def create(world: World, charge: Doc, *, amount: int | None, reason: str | None, metadata: dict[str, str]) -> Doc:
    """Gives back the amount, or all that is left of the charge. Raises Stripe's refusals."""
    left = charge["amount"] - charge["amount_refunded"]
    _check(charge, amount, left)
    amount = left if amount is None else amount
    refund: Doc = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": world.clock.now(),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {
            "card": {
                "reference": random_text(12),
                "reference_status": "available",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    world.store.put("refund", refund)
    world.emit("refund.created", refund, livemode=charge["livemode"])
    before = snapshot(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    world.emit_change("charge.refunded", charge, before)
    return refund


def _check(charge: Doc, amount: int | None, left: int) -> None:
    key = charge["id"]
    if not charge["paid"]:
        raise StripeError(400, f"Charge {key} cannot be refunded: it did not succeed.", code="charge_not_refundable")
    if charge["disputed"]:
        raise StripeError(
            400, f"Charge {key} has been charged back; cannot issue a refund.", code="charge_disputed", charge=key
        )
    if left == 0:
        raise StripeError(400, f"Charge {key} has already been refunded.", code="charge_already_refunded", charge=key)
    if amount is not None and amount < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount is not None and amount > left:
        whole = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        wanted, there = money(amount, charge["currency"]), money(left, charge["currency"])
        raise invalid(f"Refund amount ({wanted}) is greater than {whole} ({there})", "amount")
