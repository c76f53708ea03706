"""Which payment methods a page or an intent takes: those switched on that take the currency, less what is filtered out.

`payment_method_types` names them outright, as API versions before the filters did.
"""

from tollhouse_sandbox import banks
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid
from tollhouse_sandbox.stripe_api.params import TEXTS, Spec
from tollhouse_sandbox.world import World

KNOWN = ("card", "sepa_debit")
FILTERS: Spec = {
    "allowed_payment_method_types": TEXTS,
    "excluded_payment_method_types": TEXTS,
    "payment_method_types": TEXTS,
}


def wanted(world: World, given: Doc, currency: str | None) -> list[str]:
    """The types, or Stripe's error for one that does not take the currency (none: nothing is paid)."""
    allowed, excluded = given.get("allowed_payment_method_types"), given.get("excluded_payment_method_types") or []
    named = given.get("payment_method_types")
    if named:
        _check(named, currency)
        return list(named)
    on = [name for name in world.config.payment_methods if name in KNOWN and _takes(name, currency)]
    left = [name for name in on if name not in excluded and (not allowed or name in allowed)]
    if not left:
        raise invalid(
            "No valid payment method types for this Checkout Session. Please ensure that you have activated payment methods"
            " compatible with your chosen currency in your dashboard"
            " (https://dashboard.stripe.com/test/settings/payment_methods) or specify allowed_payment_method_types.",
            "allowed_payment_method_types" if allowed else "excluded_payment_method_types",
        )
    return left


def _check(named: list[str], currency: str | None) -> None:
    for place, name in enumerate(named):
        param = f"payment_method_types[{place}]"
        if name not in KNOWN:
            raise invalid(f"Invalid {param}: must be one of {' or '.join(KNOWN)}", param)
        if not _takes(name, currency):
            raise invalid(
                f"The currency provided ({currency}) is invalid for one or more payment methods types on this"
                f" PaymentIntent: {name} takes {banks.CURRENCY}.",
                param,
                "payment_intent_invalid_currency",
            )


def _takes(name: str, currency: str | None) -> bool:
    return name == "card" or currency in (None, banks.CURRENCY)
