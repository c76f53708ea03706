"""`/v1/account`: the one account of the sandbox."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.stripe_api.call import Call


def retrieve(call: Call) -> Doc:
    """Who this key belongs to."""
    call.read({})
    config = call.world.config
    return {
        "id": config.account_id,
        "object": "account",
        "business_profile": {"mcc": None, "name": config.account_name, "support_email": None, "url": None},
        "business_type": None,
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": config.country,
        "created": 1_700_000_000,
        "default_currency": config.currency,
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "type": "standard",
    }
