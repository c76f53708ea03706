"""Disputes: a card's owner takes a payment back, and the bank decides who keeps the money."""

from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.errors import StripeError, invalid
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.shapes import EVIDENCE
from tollhouse_sandbox.world import World

OPEN = frozenset(("needs_response", "under_review"))
REASONS = (
    *("bank_cannot_process", "check_returned", "credit_not_processed", "customer_initiated", "debit_not_authorized"),
    *("duplicate", "fraudulent", "general", "incorrect_account_details", "insufficient_funds", "noncompliant"),
    *("product_not_received", "product_unacceptable", "subscription_canceled", "unrecognized"),
)
_FEE = 1500
_ANSWER_SECONDS = 9 * 86_400


def open_(world: World, charge: Doc, *, reason: str, amount: int | None = None) -> Doc:
    """The bank takes the money (all that is left of the charge, unless told) and asks for an answer."""
    left = charge["amount"] - charge["amount_refunded"]
    _check(charge, amount, left)
    dispute = _document(world, charge, reason, left if amount is None else amount)
    world.store.put("dispute", dispute)
    before = snapshot(charge)
    charge["disputed"] = True
    world.emit_change("charge.updated", charge, before)
    world.emit("charge.dispute.created", dispute)
    _move_funds(world, dispute, "charge.dispute.funds_withdrawn", -dispute["amount"], _FEE)
    return dispute


def close(world: World, dispute: Doc, *, won: bool) -> Doc:
    """The bank's word: won gives the money back, lost does not."""
    if dispute["status"] not in OPEN:
        raise StripeError(400, "This dispute is already closed")
    before = snapshot(dispute)
    dispute["status"] = "won" if won else "lost"
    world.emit_change("charge.dispute.closed", dispute, before)
    if won:
        _move_funds(world, dispute, "charge.dispute.funds_reinstated", dispute["amount"], 0)
    return dispute


def answer(world: World, dispute: Doc, evidence: Doc, *, submit: bool) -> None:
    """Keeps evidence. Once it is submitted, `winning_evidence` and `losing_evidence` decide as in Stripe's test mode."""
    if dispute["status"] not in OPEN:
        raise StripeError(400, "This dispute is already closed")
    before = snapshot(dispute)
    dispute["evidence"].update(evidence)
    details = dispute["evidence_details"]
    details["has_evidence"] = any(isinstance(value, str) for value in dispute["evidence"].values())
    if submit:
        details.update(submission_count=details["submission_count"] + 1, submission_method="manual")
        dispute["status"] = "under_review"
    world.emit_change("charge.dispute.updated", dispute, before)
    words = dispute["evidence"]["uncategorized_text"]
    if submit and words in ("winning_evidence", "losing_evidence"):
        close(world, dispute, won=words == "winning_evidence")


def _check(charge: Doc, amount: int | None, left: int) -> None:
    if not charge["paid"] or charge["disputed"] or left == 0:
        state = "failed" if not charge["paid"] else "disputed" if charge["disputed"] else "refunded"
        raise invalid(f"Charge {charge['id']} cannot be disputed: it has been {state}.", "charge")
    if amount is not None and not 1 <= amount <= left:
        raise invalid(f"The amount has to be between 1 and {left}.", "amount")


def _move_funds(world: World, dispute: Doc, event: str, amount: int, fee: int) -> None:
    """Books the movement on the dispute, which is all that the sandbox has of a balance."""
    now = world.clock.now()
    detail = {
        "amount": fee,
        "application": None,
        "currency": dispute["currency"],
        "description": "Dispute fee",
        "type": "stripe_fee",
    }
    word = "withdrawal" if amount < 0 else "reversal"
    dispute["balance_transactions"].append(
        {
            "id": new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": now,
            "balance_type": "payments",
            "created": now,
            "currency": dispute["currency"],
            "description": f"Chargeback {word} for {dispute['charge']}",
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [detail] if fee else [],
            "net": amount - fee,
            "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
            "source": dispute["id"],
            "status": "available",
            "type": "adjustment",
        }
    )
    world.store.put("dispute", dispute)
    world.emit(event, dispute)


def _document(world: World, charge: Doc, reason: str, amount: int) -> Doc:
    now = world.clock.now()
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**snapshot(EVIDENCE), "customer_email_address": charge["billing_details"]["email"]},
        "evidence_details": {
            "due_by": now + _ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": charge["livemode"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        **_card_details(charge),
        "reason": reason,
        "status": "needs_response",
    }


def _card_details(charge: Doc) -> Doc:
    """What a dispute says of the card; of a debit it says nothing."""
    if charge["payment_method_details"]["type"] != "card":
        return {}
    brand = charge["payment_method_details"]["card"]["brand"]
    details = {"brand": brand, "case_type": "chargeback", "network": brand, "network_reason_code": None}
    return {"payment_method_details": {"card": details, "type": "card"}}
