"""Stripe: the only place that imports its SDK. Everything leaves here in the words of `billing.model`."""

from tollhouse.billing.stripe.account import StripeAccount, open_account, opened
from tollhouse.billing.stripe.downloads import invoice_pdf
from tollhouse.billing.stripe.gateway import PAGE as EVENTS_PAGE
from tollhouse.billing.stripe.gateway import SUPPORTED_API_VERSION, StripeGateway
from tollhouse.billing.stripe.pace import Pace
from tollhouse.billing.stripe.signatures import FIXES, TOLERANCE_SECONDS, BadSignature, Reason, sign, verify
from tollhouse.billing.stripe.translate import event as read_event
from tollhouse.billing.stripe.translate import stated as read_stated

__all__ = [
    "EVENTS_PAGE",
    "FIXES",
    "SUPPORTED_API_VERSION",
    "TOLERANCE_SECONDS",
    "BadSignature",
    "Pace",
    "Reason",
    "StripeAccount",
    "StripeGateway",
    "invoice_pdf",
    "open_account",
    "opened",
    "read_event",
    "read_stated",
    "sign",
    "verify",
]
