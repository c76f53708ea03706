"""Stripe's older API versions: today's objects in the shapes in which those versions write them.

What is told apart is what docs.stripe.com/changelog lists as breaking between them for the objects that the sandbox has:

- until 2025-03-31 (basil) a subscription has its period itself and its items have none; an invoice names its subscription,
  charge and payment intent, and its lines name price, plan and proration; charges and payment intents name their invoice
- until 2025-09-30 (clover) a discount names its coupon
- until 2024-04-10 a product's `marketing_features` are its `features`
"""

from collections.abc import Callable

from tollhouse_sandbox.config import API_VERSION
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.store import Store

VERSIONS = ("2023-10-16", "2024-06-20", API_VERSION)
"""What a webhook endpoint may be made with here."""

_BASIL, _CLOVER, _MARKETING = "2025-03-31", "2025-09-30", "2024-04-10"
_PERIOD = ("current_period_start", "current_period_end")


def in_version(store: Store, document: Doc, version: str) -> Doc:
    """A copy of the document, and of everything inside it, as this version writes it."""
    if version >= _CLOVER:
        return document
    found = _walk(store, document, version)
    return found if isinstance(found, dict) else document


def event_in_version(store: Store, event: Doc, version: str) -> Doc:
    """An event as an endpoint of this version gets it."""
    told = in_version(store, event, version)
    previous = told["data"].get("previous_attributes")
    if previous is not None and version < _BASIL and told["data"]["object"]["object"] == "subscription":
        before = _items_of(previous)
        moved = {name: before[name] for name in _PERIOD if name in before}
        told = {**told, "data": {**told["data"], "previous_attributes": {**previous, **moved}}}
    return {**told, "api_version": version}


def _items_of(previous: Doc) -> Doc:
    """The first item as it was, where the items changed."""
    items = (previous.get("items") or {}).get("data") or []
    return items[0] if items and isinstance(items[0], dict) else {}


def _walk(store: Store, value: object, version: str) -> object:
    if isinstance(value, list):
        return [_walk(store, each, version) for each in value]
    if not isinstance(value, dict):
        return value
    inside = {name: _walk(store, each, version) for name, each in value.items()}
    change = _CHANGES.get(str(value.get("object", "")))
    return change(store, inside, version) if change else inside


def _subscription(store: Store, given: Doc, version: str) -> Doc:
    if version >= _BASIL:
        return given
    items = given.get("items", {}).get("data", [])
    kept = {name: items[0][name] for name in _PERIOD} if items and _PERIOD[0] in items[0] else {}
    for item in items:
        for name in _PERIOD:
            item.pop(name, None)
    return {**given, **kept}


def _invoice(store: Store, given: Doc, version: str) -> Doc:
    if version >= _BASIL:
        return given
    old = dict(given)
    details = (old.pop("parent", None) or {}).get("subscription_details") or {}
    payment = next(iter(store.where("invoice_payment", "invoice", given["id"])), None) if "id" in given else None
    intent = payment["payment"]["payment_intent"] if payment else None
    charge = (store.get("payment_intent", intent) or {}).get("latest_charge") if intent else None
    old.update(
        subscription=details.get("subscription"),
        subscription_details={"metadata": details.get("metadata")} if details else None,
        payment_intent=intent,
        charge=charge,
        paid=given.get("status") == "paid",
        paid_out_of_band=False,
        tax=None,
    )
    return old


def _line(store: Store, given: Doc, version: str) -> Doc:
    if version >= _BASIL:
        return given
    old = dict(given)
    parent = old.pop("parent", None) or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    priced = (old.pop("pricing", None) or {}).get("price_details") or {}
    price = priced.get("price")
    old.update(
        price=_walk(store, store.get("price", price), version) if isinstance(price, str) else price,
        plan=store.get("plan", price) if isinstance(price, str) else None,
        proration=bool(details.get("proration")),
        proration_details=details.get("proration_details") or {"credited_items": None},
        type="subscription" if parent.get("subscription_item_details") else "invoiceitem",
        subscription_item=details.get("subscription_item"),
        subscription=details.get("subscription"),
        tax_amounts=[],
        tax_rates=[],
    )
    old.pop("taxes", None)
    if details.get("invoice_item"):
        old["invoice_item"] = details["invoice_item"]
    return old


def _paid_by(store: Store, intent: str | None) -> str | None:
    """The invoice that a payment intent pays."""
    known = store.get("private", intent) if intent else None
    return (known or {}).get("invoice")


def _charge(store: Store, given: Doc, version: str) -> Doc:
    named = given.get("payment_intent")
    intent = named["id"] if isinstance(named, dict) else named
    return given if version >= _BASIL else {**given, "invoice": _paid_by(store, intent)}


def _payment_intent(store: Store, given: Doc, version: str) -> Doc:
    return given if version >= _BASIL else {**given, "invoice": _paid_by(store, given.get("id"))}


def _discount(store: Store, given: Doc, version: str) -> Doc:
    old = dict(given)
    source = old.pop("source", None) or {}
    coupon = source.get("coupon")
    old["coupon"] = store.get("coupon", coupon) if isinstance(coupon, str) else coupon
    return old


def _product(store: Store, given: Doc, version: str) -> Doc:
    if version >= _MARKETING or "marketing_features" not in given:
        return given
    old = dict(given)
    old["features"] = old.pop("marketing_features")
    return old


_CHANGES: dict[str, Callable[[Store, Doc, str], Doc]] = {
    "subscription": _subscription,
    "invoice": _invoice,
    "line_item": _line,
    "charge": _charge,
    "payment_intent": _payment_intent,
    "discount": _discount,
    "product": _product,
}
