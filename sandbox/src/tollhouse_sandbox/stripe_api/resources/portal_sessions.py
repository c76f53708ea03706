"""`/v1/billing_portal/sessions`."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.params import TEXT, Spec, required

_CREATE: Spec = {"configuration": TEXT, "customer": required(TEXT), "locale": TEXT, "return_url": TEXT}


def create(call: Call) -> Doc:
    """A short-lived page on which the customer sees and cancels its subscriptions."""
    given = call.read(_CREATE)
    customer = call.find("customer", given["customer"], "customer")
    secret = random_text(40)
    session: Doc = {
        "id": new_id("bps"),
        "object": "billing_portal.session",
        "configuration": given.get("configuration") or _default_configuration(call),
        "created": call.world.clock.now(),
        "customer": customer["id"],
        "customer_account": None,
        "flow": None,
        "livemode": call.livemode,
        "locale": given.get("locale"),
        "on_behalf_of": None,
        "return_url": given.get("return_url"),
        "url": f"{call.world.base_url}/portal/{secret}",
    }
    call.world.keep_private(secret, portal_session=session["id"])
    return call.world.store.put("billing_portal.session", session)


def _default_configuration(call: Call) -> str:
    known = call.world.private(f"portal_configuration_{call.livemode}")
    if "configuration" not in known:
        call.world.keep_private(known["id"], configuration=new_id("bpc"))
    return str(known["configuration"])
