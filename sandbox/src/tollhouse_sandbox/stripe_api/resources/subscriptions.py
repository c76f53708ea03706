"""`/v1/subscriptions`."""

from tollhouse_sandbox.billing import (
    changes,
    currencies,
    discounts,
    invoices,
    payment_methods,
    subscriptions,
    test_clocks,
)
from tollhouse_sandbox.billing.amounts import line_amount
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.errors import StripeError, card_error, invalid, missing, no_such
from tollhouse_sandbox.stripe_api import offers
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    ANY,
    BOOLEAN,
    CLEARABLE_TEXT,
    INTEGER,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    Param,
    Spec,
    fields,
    list_of,
    one_of,
    required,
)

_ITEM = {"price": TEXT, "quantity": INTEGER, "metadata": METADATA}
ITEMS = list_of(fields(id=TEXT, deleted=BOOLEAN, **_ITEM))
_DETAILS = fields(comment=CLEARABLE_TEXT, feedback=CLEARABLE_TEXT)
PRORATION = one_of("always_invoice", "create_prorations", "none")
_BOTH: Spec = {
    "cancel_at_period_end": BOOLEAN,
    "default_payment_method": CLEARABLE_TEXT,
    "description": CLEARABLE_TEXT,
    "discounts": offers.NEW_OR_KEPT,
    "metadata": METADATA,
    "off_session": BOOLEAN,
    "payment_behavior": one_of(
        "allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"
    ),
    "payment_settings": fields(save_default_payment_method=one_of("off", "on_subscription")),
    "proration_behavior": PRORATION,
    "trial_end": ANY,
}
_CREATE: Spec = {
    **_BOTH,
    "customer": required(TEXT),
    "collection_method": one_of("charge_automatically"),
    "currency": TEXT,
    "items": required(list_of(fields(**_ITEM))),
    "trial_period_days": INTEGER,
}
_UPDATE: Spec = {
    **_BOTH,
    "billing_cycle_anchor": one_of("now", "unchanged"),
    "cancel_at": Param(kind="integer", clearable=True),
    "cancellation_details": _DETAILS,
    "items": ITEMS,
    "proration_date": INTEGER,
}
_CANCEL: Spec = {"cancellation_details": _DETAILS, "invoice_now": BOOLEAN, "prorate": BOOLEAN}
_STATUSES = ("active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired", "trialing", "paused")
_LIST: Spec = {
    **PAGE,
    "created": MOMENT_RANGE,
    "customer": TEXT,
    "price": TEXT,
    "status": one_of(*_STATUSES, "all", "ended"),
    "test_clock": TEXT,
}


def create(call: Call) -> Doc:
    """Subscribes a customer and collects the first invoice as `payment_behavior` says."""
    given = call.read(_CREATE)
    world = call.world
    customer = call.find("customer", given["customer"], "customer")
    wanted = [_wanted(call, item, f"items[{place}]") for place, item in enumerate(given["items"] or [])]
    if not wanted:
        raise missing("items")
    _same_interval([want["price"] for want in wanted])
    test_clocks.check_room_for_subscription(world, customer)
    refused = currencies.refusal(world, customer, wanted[0]["price"]["currency"])
    if refused:
        raise refused
    method = _method(call, given.get("default_payment_method"), customer)
    card = method or world.store.get("payment_method", customer["invoice_settings"]["default_payment_method"] or "")
    behavior = given.get("payment_behavior", "allow_incomplete")
    trial_end = _trial_end(call, given)
    offers.kept(given.get("discounts"), [])
    redeemed = _offers(call, given, customer, wanted, wanted[0]["price"]["currency"])
    if card is None and behavior != "default_incomplete" and trial_end is None:
        raise StripeError(
            400,
            "This customer has no attached payment source or default payment method. Please consider adding a default"
            " payment method. For more information, visit"
            " https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
            code="resource_missing",
        )
    if behavior == "error_if_incomplete" and card:
        decline = payment_methods.behaviour_of(world, card).off_session_decline
        if decline:
            raise card_error(decline.code, decline.message, decline.decline_code)
    subscription, invoice = subscriptions.create(
        world,
        customer,
        wanted,
        metadata=merged_metadata({}, given.get("metadata", {})),
        method=method["id"] if method else None,
        description=given.get("description"),
        trial_end=trial_end,
        cancel_at_period_end=given.get("cancel_at_period_end", False),
        offers=redeemed,
    )
    if given.get("payment_settings"):
        subscription["payment_settings"].update(given["payment_settings"])
    if invoice["status"] == "open" and behavior != "default_incomplete":
        invoices.collect(world, invoice, card, off_session=bool(given.get("off_session", True)))
    subscriptions.settle_invoice(world, invoice)
    return world.store.put("subscription", subscription)


def retrieve(call: Call) -> Doc:
    """A subscription."""
    return call.find("subscription", call.ids[0])


def update(call: Call) -> Doc:
    """Changes the fields given; another price is prorated as `proration_behavior` says."""
    subscription = call.find("subscription", call.ids[0])
    given = call.read(_UPDATE)
    world = call.world
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    if subscription["schedule"] and given.keys() & {"cancel_at", "cancel_at_period_end"}:
        raise invalid(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any"
            " cancelation behavior directly is not allowed. Please update the schedule instead.",
            "cancel_at" if "cancel_at" in given else "cancel_at_period_end",
        )
    if "cancel_at" in given and given.get("cancel_at_period_end"):
        raise invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.", "cancel_at")
    customer = call.find("customer", subscription["customer"], "customer")
    method = _method(call, given.get("default_payment_method"), customer)
    wanted = [item_change(call, subscription, item, f"items[{n}]") for n, item in enumerate(given.get("items") or [])]
    stay = offers.kept(given.get("discounts"), subscription["discounts"])
    redeemed = _offers(call, given, customer, subscription["items"]["data"], subscription["currency"])
    before = snapshot(subscription)
    if "discounts" in given:
        _set_discounts(call, subscription, stay, redeemed)
    if "default_payment_method" in given:
        subscription["default_payment_method"] = method["id"] if method else None
    if "metadata" in given:
        subscription["metadata"] = merged_metadata(subscription["metadata"], given["metadata"])
    for name in ("description",):
        if name in given:
            subscription[name] = given[name]
    subscription["payment_settings"].update(given.get("payment_settings") or {})
    _set_cancellation(call, subscription, given)
    if wanted or given.get("billing_cycle_anchor") == "now":
        changes.change_items(
            world,
            subscription,
            before,
            wanted,
            proration=given.get("proration_behavior", "create_prorations"),
            at=proration_date(call, subscription, given, "proration_date"),
            anchor_now=given.get("billing_cycle_anchor") == "now",
        )
    elif given.get("trial_end") == "now" and subscription["status"] == "trialing":
        changes.end_trial(world, subscription)
    else:
        world.emit_change("customer.subscription.updated", subscription, before)
    return subscription


def proration_date(call: Call, subscription: Doc, given: Doc, name: str) -> int:
    """The moment from which time is credited and charged: now, unless told."""
    start, end = subscriptions.current_period(subscription)
    moment: int = given.get("proration_date", call.world.clock.now())
    if "proration_date" in given and not start <= moment <= end:
        raise invalid(f"The proration date must be within the subscription's current period, {start} to {end}.", name)
    return moment


def cancel(call: Call) -> Doc:
    """Cancels at once."""
    subscription = call.find("subscription", call.ids[0])
    given = call.read(_CANCEL)
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise no_such("subscription", subscription["id"])
    subscriptions.end(call.world, subscription, "cancellation_requested", given.get("cancellation_details"))
    return subscription


def delete_discount(call: Call) -> Doc:
    """Takes every discount off; answers the last one."""
    subscription = call.find("subscription", call.ids[0])
    if not subscription["discounts"]:
        raise StripeError(404, f"No active discount for subscription: {subscription['id']}")
    before = snapshot(subscription)
    gone = call.world.store.get("discount", subscription["discounts"][-1]) or {}
    _set_discounts(call, subscription, [], [])
    call.world.emit_change("customer.subscription.updated", subscription, before)
    return {**gone, "deleted": True}


def list_(call: Call) -> Doc:
    """Newest first; without a status, those that have not been canceled; those of a test clock only when it, or their
    customer, is asked for."""
    asked = call.read(_LIST)
    store = call.world.store
    customer = asked.get("customer")
    rows = store.where("subscription", "customer", customer) if customer else store.newest("subscription")
    chosen = (
        row
        for row in rows
        if _has_status(row, asked.get("status"))
        and (row["test_clock"] == asked.get("test_clock") or (customer and "test_clock" not in asked))
        and ("price" not in asked or any(item["price"]["id"] == asked["price"] for item in row["items"]["data"]))
        and created_within(asked.get("created"), row["created"])
    )
    return page(call, "subscription", chosen, asked)


def _has_status(subscription: Doc, status: str | None) -> bool:
    match status:
        case None:
            return subscription["status"] not in ("canceled", "incomplete_expired")
        case "all":
            return True
        case "ended":
            return subscription["status"] in ("canceled", "incomplete_expired")
        case _:
            return bool(subscription["status"] == status)


def _wanted(call: Call, item: Doc, name: str) -> Doc:
    if "price" not in item:
        raise missing(f"{name}[price]")
    price = call.find("price", item["price"], f"{name}[price]")
    if not price["active"]:
        raise invalid("The price specified is inactive. This field only accepts active prices.", f"{name}[price]")
    if not price["recurring"]:
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
            f"{name}[price]",
        )
    return {
        "price": price,
        "quantity": item.get("quantity", 1),
        "metadata": merged_metadata({}, item.get("metadata", {})),
    }


def item_change(call: Call, subscription: Doc, item: Doc, name: str) -> changes.ItemChange:
    """One wanted change of what the subscription buys."""
    ids = [present["id"] for present in subscription["items"]["data"]]
    if "id" in item and item["id"] not in ids:
        raise no_such("subscription_item", item["id"], f"{name}[id]")
    price = _wanted(call, item, name)["price"] if "price" in item else None
    if price is None and "id" not in item:
        raise missing(f"{name}[price]")
    metadata = item.get("metadata")
    return changes.ItemChange(
        item=item.get("id"),
        price=price,
        quantity=item.get("quantity"),
        deleted=item.get("deleted", False),
        metadata=metadata if metadata is not None else {},
    )


def _same_interval(prices: list[Doc]) -> None:
    if len({(p["recurring"]["interval"], p["recurring"]["interval_count"], p["currency"]) for p in prices}) > 1:
        raise invalid("Currency and interval fields must match across all plans on this subscription.", "items")


def _method(call: Call, key: str | None, customer: Doc) -> Doc | None:
    if key is None:
        return None
    method = call.find("payment_method", key, "default_payment_method")
    if method["customer"] != customer["id"]:
        raise invalid(
            f"The customer does not have a payment method with the ID {key}. The payment method must be attached to the"
            " customer.",
            "default_payment_method",
            "resource_missing",
        )
    return method


def _offers(call: Call, given: Doc, customer: Doc, items: list[Doc], currency: str) -> list[Doc]:
    """The coupons to redeem for these items."""
    amount = sum(line_amount(item["price"], item["quantity"]) for item in items)
    return offers.wanted(call, given.get("discounts"), customer["id"], amount, currency)


def _set_discounts(call: Call, subscription: Doc, stay: list[str], redeemed: list[Doc]) -> None:
    for key in list(subscription["discounts"]):
        if key not in stay:
            discounts.detach(call.world, subscription, key)
    for offer in redeemed:
        discounts.attach(call.world, subscription, offer)


def _trial_end(call: Call, given: Doc) -> int | None:
    if given.get("trial_period_days"):
        return call.world.clock.now() + int(given["trial_period_days"]) * 86_400
    asked = given.get("trial_end")
    if asked is None or asked == "now":
        return None
    if not isinstance(asked, str) or not asked.isdigit():
        raise invalid(f"Invalid integer: {asked}", "trial_end", "parameter_invalid_integer")
    return int(asked)


def _set_cancellation(call: Call, subscription: Doc, given: Doc) -> None:
    now, period_end = call.world.clock.now(), subscriptions.current_period(subscription)[1]
    if "cancellation_details" in given:
        subscription["cancellation_details"].update(given["cancellation_details"] or {})
    if "cancel_at_period_end" in given:
        ends = given["cancel_at_period_end"]
        subscription.update(
            cancel_at_period_end=ends, cancel_at=period_end if ends else None, canceled_at=now if ends else None
        )
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if ends else None
    elif "cancel_at" in given:
        moment = given["cancel_at"]
        if moment is not None and moment <= now:
            raise invalid("`cancel_at` must be in the future.", "cancel_at")
        subscription.update(cancel_at=moment, canceled_at=now if moment else None, cancel_at_period_end=False)
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if moment else None
        if moment:
            call.world.plan_for(moment, "cancel_at", subscription["id"])
