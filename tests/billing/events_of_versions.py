"""Events as Stripe writes them in three versions of its API, for one purchase: from the objects' pages of docs.stripe.com/api
and the breaking changes of docs.stripe.com/changelog (2024-04-10, 2025-03-31.basil, 2025-09-30.clover)."""

from __future__ import annotations

from typing import Any

VERSIONS = ("2023-10-16", "2024-06-20", "2026-10-28.endive")
CUSTOMER, SUBSCRIPTION, INVOICE, CHARGE = (
    "cus_NffrFeUfNV2Hib",
    "sub_1MowQVLkdIwHu7ix",
    "in_1MtHbELkdIwHu7ix",
    "ch_3MmlLrLk",
)
INTENT, SETUP, SESSION = "pi_3MtwBwLkdIwHu7ix", "seti_1Mm8s8LkdIwHu7ix", "cs_test_a11YYufWQzNY63zpQ6QSNRQhkUpVph4WRmz"
START, END = 1679609767, 1682288167
Doc = dict[str, Any]


def _price() -> Doc:
    return {
        "id": "price_1MowQULkdIwHu7ix", "object": "price", "active": True, "billing_scheme": "per_unit",
        "created": 1679609766, "currency": "usd", "livemode": False, "lookup_key": None, "metadata": {}, "nickname": None,
        "product": "prod_NZKdYqrwEYx6iK", "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "tax_behavior": "unspecified", "type": "recurring", "unit_amount": 900, "unit_amount_decimal": "900",
    }  # fmt: skip


def _subscription(new: bool) -> Doc:
    item: Doc = {
        "id": "si_NcLYdDxLHxlFo7", "object": "subscription_item", "created": START, "metadata": {}, "price": _price(),
        "plan": {"id": "price_1MowQULkdIwHu7ix", "object": "plan", "amount": 900, "interval": "month"}, "quantity": 1,
        "subscription": SUBSCRIPTION, "tax_rates": [],
    }  # fmt: skip
    whole: Doc = {
        "id": SUBSCRIPTION, "object": "subscription", "billing_cycle_anchor": START, "cancel_at": None,
        "cancel_at_period_end": False, "canceled_at": None, "collection_method": "charge_automatically",
        "created": START, "currency": "usd", "customer": CUSTOMER, "default_payment_method": None, "ended_at": None,
        "items": {"object": "list", "data": [item], "has_more": False, "url": "/v1/subscription_items"},
        "latest_invoice": INVOICE, "livemode": False, "metadata": {}, "schedule": None, "start_date": START,
        "status": "active", "trial_end": None,
    }  # fmt: skip
    (item if new else whole).update(current_period_start=START, current_period_end=END)
    if not new:
        whole["discount"] = None
    return whole


def _line(new: bool) -> Doc:
    line: Doc = {
        "id": "il_1MtHbELkdIwHu7ix", "object": "line_item", "amount": 900, "currency": "usd", "description": "1 × Starter",
        "discount_amounts": [], "discountable": True, "discounts": [], "livemode": False, "metadata": {},
        "period": {"start": START, "end": END}, "quantity": 1,
    }  # fmt: skip
    if new:
        details = {"subscription": SUBSCRIPTION, "subscription_item": "si_NcLYdDxLHxlFo7", "proration": False}
        price = {"price": "price_1MowQULkdIwHu7ix", "product": "prod_NZKdYqrwEYx6iK"}
        line["parent"] = {"type": "subscription_item_details", "subscription_item_details": details}
        line["pricing"] = {"type": "price_details", "price_details": price, "unit_amount_decimal": "900"}
        return line | {"taxes": []}
    return line | {
        "price": _price(), "plan": {"id": "price_1MowQULkdIwHu7ix", "object": "plan", "amount": 900}, "proration": False,
        "proration_details": {"credited_items": None}, "subscription": SUBSCRIPTION,
        "subscription_item": "si_NcLYdDxLHxlFo7", "tax_amounts": [], "tax_rates": [], "type": "subscription",
    }  # fmt: skip


def _invoice(new: bool, status: str) -> Doc:
    whole: Doc = {
        "id": INVOICE, "object": "invoice", "amount_due": 900, "amount_paid": 900, "amount_remaining": 0,
        "attempt_count": 1, "attempted": True, "billing_reason": "subscription_create",
        "collection_method": "charge_automatically", "created": START, "currency": "usd", "customer": CUSTOMER,
        "customer_email": "jennyrosen@example.com", "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1/test_1",
        "invoice_pdf": "https://pay.stripe.com/invoice/acct_1/test_1/pdf",
        "lines": {"object": "list", "data": [_line(new)], "has_more": False, "url": f"/v1/invoices/{INVOICE}/lines"},
        "livemode": False, "metadata": {}, "number": "F545F9B3-0001", "status": status, "total": 900,
        "status_transitions": {"finalized_at": START, "paid_at": START, "voided_at": None},
    }  # fmt: skip
    if new:
        details = {"metadata": {}, "subscription": SUBSCRIPTION}
        whole["parent"] = {"type": "subscription_details", "quote_details": None, "subscription_details": details}
        return whole
    return whole | {
        "subscription": SUBSCRIPTION, "subscription_details": {"metadata": {}}, "paid": status == "paid",
        "paid_out_of_band": False, "charge": CHARGE, "payment_intent": INTENT, "discount": None, "tax": None,
        "quote": None, "total_tax_amounts": [],
    }  # fmt: skip


def _charge(new: bool) -> Doc:
    whole: Doc = {
        "id": CHARGE, "object": "charge", "amount": 900, "amount_refunded": 900, "captured": True, "created": START,
        "currency": "usd", "customer": CUSTOMER, "disputed": False, "livemode": False, "metadata": {}, "paid": True,
        "payment_intent": INTENT, "refunded": True, "status": "succeeded",
    }  # fmt: skip
    return whole if new else whole | {"invoice": INVOICE}


def _payment_intent(new: bool, status: str) -> Doc:
    whole: Doc = {
        "id": INTENT, "object": "payment_intent", "amount": 900, "capture_method": "automatic", "created": START,
        "currency": "usd", "customer": CUSTOMER, "latest_charge": CHARGE, "last_payment_error": None, "livemode": False,
        "metadata": {}, "payment_method": None, "payment_method_types": ["card"], "status": status,
    }  # fmt: skip
    return whole if new else whole | {"invoice": INVOICE}


def _session() -> Doc:
    return {
        "id": SESSION, "object": "checkout.session", "created": START, "currency": "usd", "customer": CUSTOMER,
        "expires_at": START + 86_400, "invoice": INVOICE, "livemode": False, "metadata": {}, "mode": "subscription",
        "payment_intent": None, "payment_status": "paid", "status": "complete", "subscription": SUBSCRIPTION, "url": None,
    }  # fmt: skip


def _setup_intent() -> Doc:
    return {
        "id": SETUP, "object": "setup_intent", "created": START, "customer": CUSTOMER, "livemode": False, "metadata": {},
        "payment_method": "pm_1MoyzwLkdIwHu7ix", "payment_method_types": ["card"], "status": "succeeded",
        "usage": "off_session",
    }  # fmt: skip


def _dispute() -> Doc:
    return {
        "id": "du_1MtJUT2eZvKYlo2C", "object": "dispute", "amount": 900, "charge": CHARGE, "created": START,
        "currency": "usd", "livemode": False, "metadata": {}, "payment_intent": INTENT, "reason": "general",
        "status": "lost",
    }  # fmt: skip


def objects_of(version: str) -> dict[str, Doc]:
    """The object of an event of each type that we handle."""
    new = version >= "2025-03-31"
    customer = {
        "id": CUSTOMER,
        "object": "customer",
        "created": START,
        "email": "jennyrosen@example.com",
        "livemode": False,
    }
    return {
        "checkout.session.completed": _session(),
        "checkout.session.async_payment_succeeded": _session(),
        "checkout.session.expired": _session(),
        "customer.deleted": customer,
        "customer.subscription.created": _subscription(new),
        "customer.subscription.updated": _subscription(new),
        "customer.subscription.deleted": _subscription(new),
        "invoice.paid": _invoice(new, "paid"),
        "invoice.payment_succeeded": _invoice(new, "paid"),
        "invoice.payment_failed": _invoice(new, "open"),
        "charge.refunded": _charge(new),
        "charge.dispute.closed": _dispute(),
        "setup_intent.succeeded": _setup_intent(),
        "payment_intent.succeeded": _payment_intent(new, "succeeded"),
        "payment_intent.payment_failed": _payment_intent(new, "requires_payment_method"),
    }


def event_of(version: str, type: str, about: Doc) -> Doc:
    """The event around it."""
    return {
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event", "api_version": version, "created": START,
        "data": {"object": about}, "livemode": False, "pending_webhooks": 1, "type": type,
        "request": {"id": None, "idempotency_key": None},
    }  # fmt: skip
