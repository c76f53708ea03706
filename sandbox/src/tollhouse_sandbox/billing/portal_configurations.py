"""What a customer may do in the portal: Stripe's `billing_portal.configuration`.

https://docs.stripe.com/api/customer_portal/configurations/object
"""

from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World

KIND = "billing_portal.configuration"
CANCELLATION_REASONS = (
    *("too_expensive", "missing_features", "switched_service", "unused"),
    *("customer_service", "too_complex", "low_quality", "other"),
)
_NOTHING_ALLOWED: Doc = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": list(CANCELLATION_REASONS)},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": None,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
# As a merchant's dashboard has it once everything is switched on, so that a portal works without being configured.
_EVERYTHING_ALLOWED: Doc = {
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True},
    "subscription_update": {
        "default_allowed_updates": ["price"],
        "enabled": True,
        "proration_behavior": "always_invoice",
        "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}, {"type": "shortening_interval"}]},
    },
}


def create(world: World, *, livemode: bool, features: Doc, is_default: bool = False, **given: object) -> Doc:
    """A configuration in which everything is off that `features` does not switch on; `given` are Stripe's fields."""
    now = world.clock.now()
    configuration: Doc = {
        "id": new_id("bpc"),
        "object": KIND,
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": now,
        "default_return_url": None,
        "features": merged(snapshot(_NOTHING_ALLOWED), features),
        "is_default": is_default,
        "livemode": livemode,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": now,
        **given,
    }
    return world.store.put(KIND, configuration)


def default(world: World, *, livemode: bool) -> Doc:
    """The merchant's default configuration, made when it is first asked for: everything allowed, prices of any product."""
    for configuration in world.store.oldest(KIND):
        if configuration["is_default"] and configuration["livemode"] == livemode:
            return configuration
    made = create(world, livemode=livemode, features=_EVERYTHING_ALLOWED, is_default=True)
    world.emit("billing_portal.configuration.created", made)
    return made


def merged(present: Doc, change: Doc) -> Doc:
    """The features with the fields that `change` names; a feature that it leaves out stays."""
    result = dict(present)
    for name, value in change.items():
        old = present.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            result[name] = merged(old, value)
        elif value is None and isinstance(old, list):
            result[name] = []
        else:
            result[name] = value
    return result
