"""Customers."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.world import World


def create(world: World, *, livemode: bool, **given: object) -> Doc:
    """A customer; `given` are fields of Stripe's object."""
    customer: Doc = {
        "id": new_id("cus", 14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": world.clock.now(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": random_text(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": livemode,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **given,
    }
    world.store.put("customer", customer)
    world.emit("customer.created", customer)
    return customer


def delete(world: World, customer: Doc) -> None:
    """Deletes the customer; what it bought stays."""
    world.store.delete("customer", customer["id"])
    world.store.put("deleted_customer", {"id": customer["id"], "livemode": customer["livemode"]})
    world.emit("customer.deleted", customer)
