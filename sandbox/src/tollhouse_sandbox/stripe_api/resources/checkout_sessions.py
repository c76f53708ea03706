"""`/v1/checkout/sessions`."""

from tollhouse_sandbox.billing import checkout, checkout_tax, taxes
from tollhouse_sandbox.billing import currencies as one_currency
from tollhouse_sandbox.billing.amounts import line_amount
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import invalid, missing
from tollhouse_sandbox.identifiers import random_text
from tollhouse_sandbox.shapes import CHECKOUT_SESSION
from tollhouse_sandbox.stripe_api import method_types, offers
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    SHIPPING,
    TEXT,
    TEXTS,
    Spec,
    fields,
    list_of,
    one_of,
    required,
)
from tollhouse_sandbox.stripe_api.resources import prices

_PRICE_DATA = fields(
    **{name: prices.CREATE[name] for name in ("currency", "product", "recurring", "tax_behavior")},
    **{name: prices.CREATE[name] for name in ("unit_amount", "unit_amount_decimal")},
    product_data=fields(name=required(TEXT), description=TEXT, images=TEXTS, metadata=METADATA, unit_label=TEXT),
)
_CREATE: Spec = {
    "allow_promotion_codes": BOOLEAN,
    "automatic_tax": fields(enabled=required(BOOLEAN)),
    "billing_address_collection": one_of("auto", "required"),
    "cancel_url": TEXT,
    "client_reference_id": TEXT,
    "currency": TEXT,
    "customer": TEXT,
    "customer_creation": one_of("always", "if_required"),
    "customer_email": TEXT,
    "customer_update": fields(address=one_of("auto", "never"), name=one_of("auto", "never")),
    "discounts": offers.NEW,
    "expires_at": INTEGER,
    "line_items": list_of(fields(price=TEXT, price_data=_PRICE_DATA, quantity=INTEGER, metadata=METADATA)),
    "locale": TEXT,
    "metadata": METADATA,
    "mode": one_of("payment", "setup", "subscription"),
    "payment_intent_data": fields(
        description=TEXT,
        metadata=METADATA,
        receipt_email=TEXT,
        setup_future_usage=one_of("off_session", "on_session"),
        shipping=SHIPPING,
    ),
    "payment_method_collection": one_of("always", "if_required"),
    **method_types.FILTERS,
    "phone_number_collection": fields(enabled=required(BOOLEAN)),
    "saved_payment_method_options": fields(payment_method_save=one_of("disabled", "enabled")),
    "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
    "subscription_data": fields(
        description=TEXT,
        metadata=METADATA,
        trial_end=INTEGER,
        trial_period_days=INTEGER,
        billing_mode=fields(type=TEXT),
    ),
    "success_url": TEXT,
    "tax_id_collection": fields(enabled=required(BOOLEAN)),
    "ui_mode": one_of("hosted_page", "hosted"),
}
_LIST: Spec = {
    **PAGE,
    "created": MOMENT_RANGE,
    "customer": TEXT,
    "customer_details": fields(email=required(TEXT)),
    "payment_intent": TEXT,
    "status": one_of("complete", "expired", "open"),
    "subscription": TEXT,
}
_DAY = 86_400


def create(call: Call) -> Doc:
    """A session whose `url` is a page on which a card can be typed."""
    given = call.read(_CREATE)
    _check(call, given)
    lines = [_line(call, given["mode"], item, place) for place, item in enumerate(given.get("line_items") or [])]
    currencies = {line["currency"] for line in lines}
    if len(currencies) > 1:
        raise invalid("All line items must have the same currency.", "line_items")
    now = call.world.clock.now()
    trial = given.get("subscription_data") or {}
    free = bool(trial.get("trial_period_days") or trial.get("trial_end", 0) > now)
    total = 0 if free else sum(line["amount_total"] for line in lines)
    currency = next(iter(currencies), given.get("currency"))
    if given["mode"] == "subscription" and "customer" in given:
        refused = one_currency.refusal(call.world, call.find("customer", given["customer"], "customer"), currency or "")
        if refused:
            raise refused
    redeemed = offers.wanted(call, given.get("discounts"), given.get("customer"), total, currency or "")
    session = _document(call, given, total if lines else None, currency)
    call.world.keep_private(
        session["id"],
        line_items=lines,
        free=free,
        customer_update=given.get("customer_update"),
        subscription_data=_with_merged_metadata(given.get("subscription_data")),
        payment_intent_data=_with_merged_metadata(given.get("payment_intent_data")),
    )
    checkout.set_offer(call.world, session, redeemed[0] if redeemed else None)
    call.world.store.put("checkout.session", session)
    call.world.plan_for(session["expires_at"], "session", session["id"])
    return session


def retrieve(call: Call) -> Doc:
    """A session."""
    return call.find("checkout.session", call.ids[0])


def update(call: Call) -> Doc:
    """Merges metadata."""
    session = call.find("checkout.session", call.ids[0])
    given = call.read({"metadata": METADATA})
    if "metadata" in given:
        session["metadata"] = merged_metadata(session["metadata"], given["metadata"])
    return call.world.store.put("checkout.session", session)


def expire(call: Call) -> Doc:
    """Closes an open session."""
    session = call.find("checkout.session", call.ids[0], "session")
    call.read({})
    if session["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of'
            f" `{session['status']}`."
        )
    return checkout.expire(call.world, session)


def list_(call: Call) -> Doc:
    """Newest first, by customer, subscription, payment intent and status."""
    asked = call.read(_LIST)
    store = call.world.store
    if "customer" in asked:
        rows = store.where("checkout.session", "customer", asked["customer"])
    elif "subscription" in asked:
        rows = store.where("checkout.session", "subscription", asked["subscription"])
    else:
        rows = list(store.newest("checkout.session"))
    email = (asked.get("customer_details") or {}).get("email")
    chosen = (
        row
        for row in rows
        if asked.get("status") in (None, row["status"])
        and asked.get("payment_intent") in (None, row["payment_intent"])
        and asked.get("subscription") in (None, row["subscription"])
        and email in (None, (row["customer_details"] or {}).get("email"))
        and created_within(asked.get("created"), row["created"])
    )
    return page(call, "checkout.session", chosen, asked)


def line_items(call: Call) -> Doc:
    """What is bought."""
    session = call.find("checkout.session", call.ids[0], "session")
    asked = call.read(PAGE)
    return page(call, "item", call.world.private(session["id"])["line_items"], asked)


def _check(call: Call, given: Doc) -> None:
    if "mode" not in given:
        raise missing("mode")
    if "success_url" not in given:
        raise missing("success_url")
    for name in ("success_url", "cancel_url"):
        if name in given and not given[name].startswith(("http://", "https://")):
            raise invalid("Not a valid URL", name, "url_invalid")
    if given["mode"] != "setup" and not given.get("line_items"):
        raise missing("line_items")
    if given["mode"] == "setup" and given.get("line_items"):
        raise invalid("`line_items` cannot be used in `setup` mode.", "line_items")
    if "customer" in given and "customer_email" in given:
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer")
    customer = call.find("customer", given["customer"], "customer") if "customer" in given else None
    refused = checkout_tax.refusal(given, customer)
    if refused:
        raise invalid(*refused)
    if given["mode"] != "subscription" and given.get("subscription_data"):
        raise invalid("You can not pass `subscription_data` in `payment` mode.", "subscription_data")
    if given["mode"] != "payment" and given.get("payment_intent_data"):
        raise invalid("You can not pass `payment_intent_data` in `subscription` mode.", "payment_intent_data")
    _check_discounts(given)
    now = call.world.clock.now()
    if "expires_at" in given and given["expires_at"] < now + 1800:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", "expires_at"
        )
    if given.get("expires_at", 0) > now + _DAY:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", "expires_at"
        )


def _check_discounts(given: Doc) -> None:
    if given.get("discounts") and given.get("allow_promotion_codes"):
        raise invalid("You may only specify one of these parameters: allow_promotion_codes, discounts.", "discounts")
    if given.get("discounts") and given["mode"] == "setup":
        raise invalid("`discounts` cannot be used in `setup` mode.", "discounts")
    if len(given.get("discounts") or []) > 1:
        raise invalid("Only one coupon or promotion code can be applied to a Checkout Session.", "discounts")


def _line(call: Call, mode: str, item: Doc, place: int) -> Doc:
    name = f"line_items[{place}]"
    if "price" in item:
        price = call.find("price", item["price"], f"{name}[price]")
        if not price["active"]:
            raise invalid("The price specified is inactive. This field only accepts active prices.", f"{name}[price]")
    elif "price_data" in item:
        price = _inline_price(call, item["price_data"], name)
    else:
        raise missing(f"{name}[price]")
    if mode == "payment" and price["recurring"]:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only"
            " one-time prices."
        )
    if mode == "subscription" and not price["recurring"]:
        raise invalid("You must provide at least one recurring price in `subscription` mode when using prices.")
    quantity = item.get("quantity")
    if quantity is None:
        raise missing(f"{name}[quantity]")
    if not 1 <= quantity <= 999_999:
        raise invalid("This value must be greater than or equal to 1.", f"{name}[quantity]")
    amount = line_amount(price, quantity)
    product = call.world.store.get("product", price["product"])
    return {
        "id": f"li_{random_text(24)}",
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product["name"] if product else None,
        "metadata": merged_metadata({}, item.get("metadata", {})),
        "price": snapshot(price),
        "quantity": quantity,
    }


def _inline_price(call: Call, given: Doc, name: str) -> Doc:
    key, data = given.pop("product", None), given.pop("product_data", None)
    if key:
        product = call.find("product", key, f"{name}[price_data][product]")
    elif data:
        product = prices.create_product(call, data)
    else:
        raise missing(f"{name}[price_data][product]")
    return prices.create_from(call, product, given)


def _with_merged_metadata(data: Doc | None) -> Doc:
    data = dict(data or {})
    data["metadata"] = merged_metadata({}, data.get("metadata", {}))
    return data


def _document(call: Call, given: Doc, total: int | None, currency: str | None) -> Doc:
    world, now = call.world, call.world.clock.now()
    key = f"cs_{'live' if call.livemode else 'test'}_{random_text(58)}"
    customer = world.store.get("customer", given["customer"]) if "customer" in given else None
    email = customer["email"] if customer else given.get("customer_email")
    mode = given["mode"]
    unpaid = "no_payment_required" if mode == "setup" or total == 0 else "unpaid"
    types = method_types.wanted(world, given, currency)
    return {
        "id": key,
        "object": "checkout.session",
        **snapshot(CHECKOUT_SESSION),
        "allow_promotion_codes": given.get("allow_promotion_codes"),
        "allowed_payment_method_types": given.get("allowed_payment_method_types"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": _automatic_tax(given, taxes.payer_of(world, customer)),
        "billing_address_collection": given.get("billing_address_collection"),
        "cancel_url": given.get("cancel_url"),
        "client_reference_id": given.get("client_reference_id"),
        "created": now,
        "currency": currency,
        "customer": given.get("customer"),
        "customer_creation": None if customer else given.get("customer_creation", _creation(mode)),
        "customer_details": _details(email) if email else None,
        "customer_email": given.get("customer_email"),
        "excluded_payment_method_types": given.get("excluded_payment_method_types"),
        "expires_at": given.get("expires_at", now + _DAY),
        "invoice_creation": _no_invoice() if mode == "payment" else None,
        "livemode": call.livemode,
        "locale": given.get("locale"),
        "metadata": merged_metadata({}, given.get("metadata", {})),
        "mode": mode,
        "payment_method_collection": given.get(
            "payment_method_collection", "always" if mode == "subscription" else None
        ),
        "payment_method_types": types,
        "payment_status": unpaid,
        "phone_number_collection": {"enabled": (given.get("phone_number_collection") or {}).get("enabled", False)},
        "saved_payment_method_options": {
            "allow_redisplay_filters": ["always"],
            "payment_method_remove": "disabled",
            "payment_method_save": (given.get("saved_payment_method_options") or {}).get("payment_method_save"),
        },
        "submit_type": given.get("submit_type"),
        "success_url": given["success_url"],
        "tax_id_collection": {
            "enabled": (given.get("tax_id_collection") or {}).get("enabled", False),
            "required": "never",
        },
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if total is not None else None,
        "url": f"{world.base_url}/checkout/{key}",
    }


def _automatic_tax(given: Doc, payer: taxes.Payer) -> Doc:
    shown: Doc = snapshot(CHECKOUT_SESSION)["automatic_tax"]
    if (given.get("automatic_tax") or {}).get("enabled"):
        facts = taxes.settings(payer)
        shown = {name: facts[name] for name in shown}
    return shown


def _creation(mode: str) -> str | None:
    return {"payment": "if_required", "subscription": "always"}.get(mode)


def _details(email: str) -> Doc:
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }


def _no_invoice() -> Doc:
    return {
        "enabled": False,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": None,
            "metadata": {},
            "rendering_options": None,
        },
    }
