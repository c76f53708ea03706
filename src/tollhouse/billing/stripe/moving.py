"""A subscription that is moved to another price by its seller. Calls of the gateway's, over the network."""

from collections.abc import Mapping

from tollhouse.billing import model
from tollhouse.billing.stripe import translate, wire
from tollhouse.billing.stripe.gateway import StripeGateway, path_of


async def read(gateway: StripeGateway, subscription: str) -> model.Subscription:
    """A subscription as it stands now. Raises NotFound."""
    path = path_of("/v1/subscriptions", subscription)
    return translate.subscription(await gateway._call("get", path, {"expand": ["schedule"]}, wire.Subscription))


async def move(
    gateway: StripeGateway, subscription: str, item: model.Item, price: str, metadata: Mapping[str, str], key: str
) -> model.Subscription:
    """Another price for this item, from the next period on: nothing is charged or credited for the one that runs.

    One `key` moves once. Raises InvalidRequest, NotFound, Unavailable.
    """
    params = {
        "items": [{"id": item.id, "price": price, "quantity": item.quantity}],
        "proration_behavior": "none",
        "metadata": dict(metadata),
        "expand": ["schedule"],
    }
    path = path_of("/v1/subscriptions", subscription)
    return translate.subscription(await gateway._call("post", path, params, wire.Subscription, key))
