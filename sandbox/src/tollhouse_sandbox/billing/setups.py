"""Setup intents: a card kept for later without a payment."""

from tollhouse_sandbox.billing import payment_methods
from tollhouse_sandbox.billing.payments import error_of
from tollhouse_sandbox.cards import NOT_AUTHENTICATED_SETUP, Decline
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.world import World


def create(world: World, *, livemode: bool, customer: str | None, **given: object) -> Doc:
    """A setup intent that waits for a payment method; `given` are fields of Stripe's object."""
    key = new_id("seti")
    intent: Doc = {
        "id": key,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{key}_secret_{random_text(25)}",
        "created": world.clock.now(),
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": livemode,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
        **given,
    }
    world.store.put("setup_intent", intent)
    world.emit("setup_intent.created", intent)
    return intent


def confirm(
    world: World, intent: Doc, method: Doc, *, authenticated: bool = False, return_url: str | None = None
) -> Decline | None:
    """Keeps the card for its customer. Answers the decline, or None: then it succeeded or `requires_action`."""
    behaviour = payment_methods.behaviour_of(world, method)
    intent["payment_method"] = method["id"]
    if behaviour.attach_decline:
        return _fail(world, intent, method, behaviour.attach_decline)
    if behaviour.authentication != "never" and not authenticated:
        intent["status"] = "requires_action"
        intent["next_action"] = {
            "redirect_to_url": {"return_url": return_url, "url": f"{world.base_url}/authenticate/{intent['id']}"},
            "type": "redirect_to_url",
        }
        world.store.put("setup_intent", intent)
        world.emit("setup_intent.requires_action", intent)
        return None
    world.keep_private(method["id"], set_up=True)
    if intent["customer"]:
        payment_methods.bind(world, method, intent["customer"])
    intent.update(status="succeeded", next_action=None, last_setup_error=None)
    world.store.put("setup_intent", intent)
    world.emit("setup_intent.succeeded", intent)
    return None


def refuse(world: World, intent: Doc, method: Doc) -> Decline:
    """The owner failed to authenticate."""
    return _fail(world, intent, method, NOT_AUTHENTICATED_SETUP)


def _fail(world: World, intent: Doc, method: Doc, decline: Decline) -> Decline:
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_setup_error=error_of(decline, method),
    )
    world.store.put("setup_intent", intent)
    world.emit("setup_intent.setup_failed", intent)
    return decline
