"""`/v1/customers`."""

import re

from tollhouse_sandbox.billing import customers, payment_methods, subscriptions, test_clocks
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import invalid, no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    ADDRESS,
    CLEARABLE_TEXT,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    TEXTS,
    Spec,
    fields,
    one_of,
    required,
)

_WRITE: Spec = {
    "address": ADDRESS,
    "balance": INTEGER,
    "description": CLEARABLE_TEXT,
    "email": CLEARABLE_TEXT,
    "invoice_prefix": TEXT,
    "invoice_settings": fields(default_payment_method=CLEARABLE_TEXT, footer=CLEARABLE_TEXT),
    "metadata": METADATA,
    "name": CLEARABLE_TEXT,
    "phone": CLEARABLE_TEXT,
    "preferred_locales": TEXTS,
    "shipping": fields(address=ADDRESS, name=TEXT, phone=CLEARABLE_TEXT),
    "tax_exempt": one_of("none", "exempt", "reverse"),
}
_CREATE: Spec = {**_WRITE, "payment_method": TEXT, "test_clock": TEXT}
_LIST: Spec = {**PAGE, "email": TEXT, "created": MOMENT_RANGE, "test_clock": TEXT}
_SEARCH: Spec = {"query": required(TEXT), "limit": INTEGER, "page": TEXT}
_CLAUSE = re.compile(
    r"""^(email|name|phone|metadata\[["'](?P<key>[^"']+)["']\])\s*(?P<how>[:~])\s*["'](?P<value>.*)["']$"""
)


def create(call: Call) -> Doc:
    """A new customer, with a payment method when one is given."""
    given = call.read(_CREATE)
    method = given.pop("payment_method", None)
    settings = given.pop("invoice_settings", None) or {}
    _check(given)
    if "test_clock" in given:
        test_clocks.check_room_for_customer(call.world, call.find(test_clocks.KIND, given["test_clock"], "test_clock"))
    card = payment_methods.resolve(call.world, method, livemode=call.livemode) if method else None
    if card:
        payment_methods.check_attachable(call.world, card)
    default = settings.get("default_payment_method")
    if default and default != method:
        raise no_such("payment_method", default, "invoice_settings[default_payment_method]")
    given["metadata"] = merged_metadata({}, given.get("metadata", {}))
    customer = customers.create(call.world, livemode=call.livemode, **_whole(given))
    if card:
        payment_methods.attach(call.world, card, customer)
    if default and card:
        settings["default_payment_method"] = card["id"]
    customer["invoice_settings"].update(settings)
    return call.world.store.put("customer", customer)


def retrieve(call: Call) -> Doc:
    """A customer; a deleted one only says so."""
    gone = call.world.store.get("deleted_customer", call.ids[0])
    if gone and gone["livemode"] == call.livemode:
        return {"id": gone["id"], "object": "customer", "deleted": True}
    return call.find("customer", call.ids[0])


def update(call: Call) -> Doc:
    """Changes the fields given; metadata is merged."""
    customer = call.find("customer", call.ids[0])
    given = call.read(_WRITE)
    _check(given)
    before = snapshot(customer)
    settings = given.pop("invoice_settings", None) or {}
    if "metadata" in given:
        given["metadata"] = merged_metadata(customer["metadata"], given["metadata"])
    _set_invoice_settings(call, customer, settings)
    customer.update(_whole(given))
    call.world.emit_change("customer.updated", customer, before)
    return customer


def delete(call: Call) -> Doc:
    """Deletes the customer and cancels its subscriptions at once."""
    customer = call.find("customer", call.ids[0])
    for subscription in call.world.store.where("subscription", "customer", customer["id"]):
        if subscription["status"] in subscriptions.LIVING:
            subscriptions.end(call.world, subscription, "cancellation_requested")
    customers.delete(call.world, customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}


def list_(call: Call) -> Doc:
    """Newest first, by e-mail and time of creation; those of a test clock only when it is asked for."""
    asked = call.read(_LIST)
    store, clock = call.world.store, asked.get("test_clock")
    rows = store.where("customer", "email", asked["email"]) if "email" in asked else store.newest("customer")
    wanted = asked.get("created")
    return page(
        call,
        "customer",
        (row for row in rows if row["test_clock"] == clock and created_within(wanted, row["created"])),
        asked,
    )


def search(call: Call) -> Doc:
    """Clauses on e-mail, name, phone and metadata, joined by AND or by OR."""
    asked = call.read(_SEARCH)
    words = re.split(r"\s+(AND|OR)\s+", asked["query"].strip(), flags=re.IGNORECASE)
    joins = {word.upper() for word in words[1::2]}
    if len(joins) > 1:
        raise invalid("You cannot combine AND and OR in one search query.", "query")
    clauses = [_CLAUSE.match(word) for word in words[0::2]]
    if not all(clauses):
        raise invalid(f"We were unable to parse your search query: {asked['query']}", "query")
    together = any if joins == {"OR"} else all
    limit, start = asked.get("limit", 10), int(asked.get("page", "0")) if asked.get("page", "0").isdigit() else 0
    found = [
        customer
        for customer in call.world.store.newest("customer")
        if customer["livemode"] == call.livemode and together(_meets(customer, clause) for clause in clauses if clause)
    ]
    more = len(found) > start + limit
    return {
        "object": "search_result",
        "data": found[start : start + limit],
        "has_more": more,
        "next_page": str(start + limit) if more else None,
        "url": call.path,
    }


def _meets(customer: Doc, clause: re.Match[str]) -> bool:
    key = clause["key"]
    value = customer["metadata"].get(key) if key else customer[clause[1]]
    wanted = clause["value"]
    if value is None:
        return False
    if key:
        return bool(value == wanted)
    found = str(value).lower()
    return wanted.lower() in found if clause["how"] == "~" else found == wanted.lower()


def _check(given: Doc) -> None:
    email = given.get("email")
    if email and (email.count("@") != 1 or " " in email or email.startswith("@") or email.endswith("@")):
        raise invalid(f"Invalid email address: {email}", "email", "email_invalid")


def _whole(given: Doc) -> Doc:
    """Addresses carry all their fields."""
    if given.get("address"):
        given["address"] = {**payment_methods.NO_ADDRESS, **given["address"]}
    if given.get("shipping"):
        address = {**payment_methods.NO_ADDRESS, **(given["shipping"].get("address") or {})}
        given["shipping"] = {"name": None, "phone": None, **given["shipping"], "address": address}
    if "preferred_locales" in given:
        given["preferred_locales"] = given["preferred_locales"] or []
    return given


def _set_invoice_settings(call: Call, customer: Doc, settings: Doc) -> None:
    method = settings.get("default_payment_method")
    if method:
        found = call.world.store.get("payment_method", method)
        if found is None or found["livemode"] != call.livemode:
            raise no_such("payment_method", method, "invoice_settings[default_payment_method]")
        if found["customer"] != customer["id"]:
            raise invalid(
                f"The customer does not have a payment method with the ID {method}. The payment method must be attached"
                " to the customer.",
                "invoice_settings[default_payment_method]",
                "resource_missing",
            )
    customer["invoice_settings"].update(settings)
