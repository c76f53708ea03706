"""What a Checkout session is told about tax (row X7)."""

from tollhouse.catalog.model import Terms


def taxation(terms: Terms) -> dict[str, object]:
    """The parameters. A customer who exists already must be let take over what is typed, or Stripe refuses the session
    (docs.stripe.com/tax/checkout, docs.stripe.com/tax/checkout/tax-ids). Nothing where nothing is asked for.
    """
    told: dict[str, object] = {}
    update: dict[str, str] = {}
    if terms.automatic_tax:
        told["automatic_tax"] = {"enabled": True}
        update["address"] = "auto"
    if terms.tax_ids:
        told["tax_id_collection"] = {"enabled": True}
        update["name"] = "auto"
    if terms.billing_address == "required":
        told["billing_address_collection"] = "required"
        update["address"] = "auto"
    return {**told, "customer_update": update} if update else told
