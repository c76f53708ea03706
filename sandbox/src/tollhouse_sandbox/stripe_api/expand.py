"""`expand[]`: ids replaced by their objects, and lists that are only there when asked for."""

from collections.abc import Callable

from tollhouse_sandbox.documents import Doc, listed
from tollhouse_sandbox.errors import invalid
from tollhouse_sandbox.store import Store

_MAX_DEPTH = 4

# Fields that hold an id, and the kind of object that it names.
_KIND_OF_FIELD = {
    "charge": "charge",
    "configuration": "billing_portal.configuration",
    "coupon": "coupon",
    "customer": "customer",
    "default_payment_method": "payment_method",
    "default_price": "price",
    "discount": "discount",
    "discounts": "discount",
    "invoice": "invoice",
    "latest_charge": "charge",
    "latest_invoice": "invoice",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "pending_setup_intent": "setup_intent",
    "price": "price",
    "product": "product",
    "promotion_code": "promotion_code",
    "schedule": "subscription_schedule",
    "setup_intent": "setup_intent",
    "subscription": "subscription",
}
# Fields that stay text however they are named.
_NEVER = {("subscription_item", "subscription"), ("billing_portal.session", "customer"), ("charge", "payment_method")}


def _payments_of(store: Store, invoice: Doc) -> Doc:
    payments = store.where("invoice_payment", "invoice", invoice["id"])
    return listed([dict(payment) for payment in payments], "/v1/invoice_payments")


def _subscriptions_of(store: Store, customer: Doc) -> Doc:
    ended = ("canceled", "incomplete_expired")
    living = [dict(s) for s in store.where("subscription", "customer", customer["id"]) if s["status"] not in ended]
    return listed(living, f"/v1/customers/{customer['id']}/subscriptions")


def _line_items_of(store: Store, session: Doc) -> Doc:
    lines = (store.get("private", session["id"]) or {}).get("line_items", [])
    return listed([dict(line) for line in lines], f"/v1/checkout/sessions/{session['id']}/line_items")


def _confirmation_secret_of(store: Store, invoice: Doc) -> Doc | None:
    for payment in store.where("invoice_payment", "invoice", invoice["id"]):
        intent = store.get("payment_intent", payment["payment"]["payment_intent"])
        if intent:
            return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


def _refunds_of(store: Store, charge: Doc) -> Doc:
    refunds = store.where("refund", "charge", charge["id"])
    return listed([dict(refund) for refund in refunds], f"/v1/charges/{charge['id']}/refunds")


def _products_of(store: Store, subscription_update: Doc) -> object:
    return subscription_update.get("products")


def _applies_to_of(store: Store, coupon: Doc) -> Doc | None:
    products = (store.get("private", f"coupon:{coupon['id']}") or {}).get("products")
    return {"products": products} if products else None


_INCLUDABLE: dict[tuple[str, str], Callable[[Store, Doc], object]] = {
    ("billing_portal.configuration", "products"): _products_of,
    ("invoice", "payments"): _payments_of,
    ("invoice", "confirmation_secret"): _confirmation_secret_of,
    ("charge", "refunds"): _refunds_of,
    ("coupon", "applies_to"): _applies_to_of,
    ("customer", "subscriptions"): _subscriptions_of,
    ("checkout.session", "line_items"): _line_items_of,
}


def expanded(store: Store, document: Doc, paths: list[str]) -> Doc:
    """A copy of the document with every dotted path expanded; the stored document is left alone."""
    result = dict(document)
    for path in paths:
        steps = path.split(".")
        if len([step for step in steps if step != "data"]) > _MAX_DEPTH:
            raise invalid(f"You cannot expand more than {_MAX_DEPTH} levels of a property. Property: {path}", "expand")
        _expand(store, result, steps, path, result.get("object", ""))
    return result


def _expand(store: Store, here: Doc, steps: list[str], path: str, owner: str) -> None:
    step, rest = steps[0], steps[1:]
    value = here.get(step)
    include = _INCLUDABLE.get((owner, step))
    kind = None if (owner, step) in _NEVER else _KIND_OF_FIELD.get(step)
    if include and not isinstance(value, dict):
        value = here[step] = include(store, here)
    elif isinstance(value, str) and kind:
        found = store.get(kind, value)
        value = here[step] = dict(found) if found else value
    elif isinstance(value, list):
        value = here[step] = [_item(store, kind, item) for item in value]
    elif isinstance(value, dict):
        value = here[step] = dict(value)
    elif value is not None or (step not in here and not kind):
        raise _cannot(path)
    if not rest:
        plain_list = isinstance(value, list) and kind is None
        if include is None and (plain_list or (isinstance(value, dict) and "object" not in value)):
            raise _cannot(path)
        return
    for below in value if isinstance(value, list) else [value]:
        if isinstance(below, dict):
            kind_below = below.get("object")
            _expand(store, below, rest, path, kind_below if isinstance(kind_below, str) else owner)


def _item(store: Store, kind: str | None, item: object) -> object:
    """One item of a list; an id becomes its object where the list is one of ids."""
    found = store.get(kind, item) if kind and isinstance(item, str) else item
    return dict(found) if isinstance(found, dict) else item


def _cannot(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")
