"""Errors as Stripe words them."""

from tollhouse_sandbox.documents import Doc

_DOCS = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """An answer with an HTTP status and Stripe's `error` object."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **facts: object) -> None:
        super().__init__(message)
        self.status = status
        self.error: Doc = {"message": message, "type": kind, **{k: v for k, v in facts.items() if v is not None}}
        code = facts.get("code")
        if isinstance(code, str):
            self.error["doc_url"] = _DOCS + code.replace("_", "-")


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A 400 about a parameter."""
    return StripeError(400, message, param=param, code=code)


def missing(param: str) -> StripeError:
    """A required parameter was not sent."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def unknown_parameters(names: list[str]) -> StripeError:
    """Parameters that the endpoint does not know."""
    word = "parameter" if len(names) == 1 else "parameters"
    return invalid(f"Received unknown {word}: {', '.join(names)}", names[0], "parameter_unknown")


NAMES = {
    "billing_portal.configuration": "billing_portal configuration",
    "charge": "charge",
    "checkout.session": "checkout.session",
    "coupon": "coupon",
    "customer": "customer",
    "dispute": "dispute",
    "event": "event",
    "invoice": "invoice",
    "invoice_payment": "invoice payment",
    "payment_intent": "payment_intent",
    "payment_method": "PaymentMethod",
    "price": "price",
    "product": "product",
    "promotion_code": "promotion code",
    "refund": "refund",
    "setup_intent": "setupintent",
    "subscription": "subscription",
    "subscription_item": "subscription_item",
    "subscription_schedule": "subscription schedule",
    "test_helpers.test_clock": "testclock",
    "webhook_endpoint": "webhook endpoint",
}


def no_such(kind: str, key: str, param: str = "id") -> StripeError:
    """The object does not exist: 404 when the path names it, 400 when a parameter does."""
    message = f"No such {NAMES.get(kind, kind)}: '{key}'"
    return StripeError(404 if param in ("id", "intent") else 400, message, param=param, code="resource_missing")


def card_error(code: str, message: str, decline_code: str | None = None, **facts: object) -> StripeError:
    """A 402: the card's issuer said no."""
    return StripeError(402, message, kind="card_error", code=code, decline_code=decline_code, **facts)
