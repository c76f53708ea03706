"""`/v1/billing_portal/sessions`."""

from tollhouse_sandbox.billing import portal_configurations as configurations
from tollhouse_sandbox.billing.subscriptions import LIVING
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid, missing
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.params import INTEGER, TEXT, Spec, fields, list_of, one_of, required

_FLOWS = ("payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm")
_FLOW = fields(
    after_completion=fields(
        hosted_confirmation=fields(custom_message=TEXT),
        redirect=fields(return_url=required(TEXT)),
        type=required(one_of("hosted_confirmation", "portal_homepage", "redirect")),
    ),
    subscription_cancel=fields(subscription=required(TEXT)),
    subscription_update=fields(subscription=required(TEXT)),
    subscription_update_confirm=fields(
        items=required(list_of(fields(id=required(TEXT), price=TEXT, quantity=INTEGER))), subscription=required(TEXT)
    ),
    type=required(one_of(*_FLOWS)),
)
_CREATE: Spec = {
    "configuration": TEXT,
    "customer": required(TEXT),
    "flow_data": _FLOW,
    "locale": TEXT,
    "return_url": TEXT,
}
_SWITCHED_OFF = {
    "payment_method_update": "The payment method cannot be updated because the payment method update feature",
    "subscription_cancel": "This subscription cannot be canceled because the subscription cancellation feature",
    "subscription_update": "This subscription cannot be updated because the subscription update feature",
}


def create(call: Call) -> Doc:
    """A page on which the customer does what the configuration allows, or the one thing that `flow_data` names."""
    given = call.read(_CREATE)
    customer = call.find("customer", given["customer"], "customer")
    configuration = _configuration(call, given.get("configuration"))
    flow = _flow(call, customer, configuration, given["flow_data"]) if given.get("flow_data") else None
    secret = random_text(40)
    session: Doc = {
        "id": new_id("bps"),
        "object": "billing_portal.session",
        "configuration": configuration["id"],
        "created": call.world.clock.now(),
        "customer": customer["id"],
        "customer_account": None,
        "flow": flow,
        "livemode": call.livemode,
        "locale": given.get("locale"),
        "on_behalf_of": None,
        "return_url": given.get("return_url") or configuration["default_return_url"],
        "url": f"{call.world.base_url}/portal/{secret}{'/flow' if flow else ''}",
    }
    call.world.keep_private(secret, portal_session=session["id"])
    call.world.emit("billing_portal.session.created", session)
    return call.world.store.put("billing_portal.session", session)


def _configuration(call: Call, key: str | None) -> Doc:
    if key is None:
        return configurations.default(call.world, livemode=call.livemode)
    configuration = call.find(configurations.KIND, key, "configuration")
    if not configuration["active"]:
        raise invalid(f"The configuration `{key}` is not active.", "configuration")
    return configuration


def _flow(call: Call, customer: Doc, configuration: Doc, given: Doc) -> Doc:
    kind = given["type"]
    feature = kind.removesuffix("_confirm")
    if not configuration["features"][feature]["enabled"]:
        raise invalid(f"{_SWITCHED_OFF[feature]} in the portal configuration is disabled.", "flow_data[type]")
    flow: Doc = {
        "after_completion": {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"},
        **dict.fromkeys(_FLOWS[1:]),
        "type": kind,
    }
    flow["after_completion"].update(given.get("after_completion") or {})
    for name in ("hosted_confirmation", "redirect"):
        if flow["after_completion"]["type"] == name and flow["after_completion"][name] is None:
            if name == "redirect":
                raise missing("flow_data[after_completion][redirect][return_url]")
            flow["after_completion"][name] = {"custom_message": None}
    if kind == "payment_method_update":
        return flow
    if not given.get(kind):
        raise missing(f"flow_data[{kind}]")
    subscription = call.find("subscription", given[kind]["subscription"], f"flow_data[{kind}][subscription]")
    if subscription["customer"] != customer["id"] or subscription["status"] not in LIVING:
        raise invalid(
            f"The subscription `{subscription['id']}` is not a live subscription of this customer.",
            f"flow_data[{kind}][subscription]",
        )
    flow[kind] = _subject(call, kind, given[kind])
    return flow


def _subject(call: Call, kind: str, given: Doc) -> Doc:
    if kind == "subscription_cancel":
        return {"retention": None, "subscription": given["subscription"]}
    if kind == "subscription_update":
        return {"subscription": given["subscription"]}
    items = [{"price": None, "quantity": None, **item} for item in given["items"] or []]
    if len(items) != 1 or items[0]["price"] is None:
        raise invalid("Name one item and its new price.", f"flow_data[{kind}][items]")
    call.find("price", items[0]["price"], f"flow_data[{kind}][items][0][price]")
    return {"discounts": None, "items": items, "subscription": given["subscription"]}
