"""The account behind a key, for the commands that set it up and look it over. Same rules as `gateway.py`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import msgspec

from tollhouse.billing import account as told
from tollhouse.billing.stripe import translate, wire
from tollhouse.billing.stripe.gateway import PAGE, StripeGateway, path_of
from tollhouse.billing.stripe.pace import Pace
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.settings import Settings

PORTAL_PRODUCTS = "features.subscription_update.products"
"""Only answered when it is asked for."""


class StripeAccount(StripeGateway):
    """A gateway that also reaches products, endpoints, portal configurations and the list of events."""

    async def account(self) -> told.AccountFacts:
        """Whose key it is, and what time Stripe has."""
        answer = await self._answer("get", "/v1/account", {})
        found = self._decoded(answer, "/v1/account", wire.Account)
        named = found.business_profile.name if found.business_profile else None
        return told.AccountFacts(
            found.id, named or found.email or found.id, found.charges_enabled, _dated(answer.headers)
        )

    # --- what is sold ---

    async def active_products(self) -> AsyncIterator[told.ProductFacts]:
        """Every product that is not archived."""
        async for found in self._every("/v1/products", {"active": True}, wire.Product):
            yield translate.product(found)

    async def is_subscribed(self, price_id: str) -> bool:
        """Whether any subscription that has not ended pays this price."""
        page = await self._call("get", "/v1/subscriptions", {"price": price_id, "limit": 1}, wire.Page[wire.Named])
        return bool(page.data)

    # --- webhook endpoints ---

    async def endpoints(self) -> tuple[told.EndpointFacts, ...]:
        """Every endpoint of this account and mode, the oldest first."""
        found = [_endpoint(given) async for given in self._every("/v1/webhook_endpoints", {}, wire.WebhookEndpoint)]
        return tuple(found[::-1])

    async def create_endpoint(
        self, url: str, events: Sequence[str], metadata: Mapping[str, str], attempt: str
    ) -> told.EndpointFacts:
        """A new endpoint with its secret; within a day the same `attempt` is answered with the same endpoint."""
        params = {
            "url": url,
            "enabled_events": list(events),
            "api_version": self.api_version,
            "description": "Tollhouse",
            "metadata": dict(metadata),
        }
        key = f"tollhouse-endpoint-{attempt}"
        return _endpoint(await self._call("post", "/v1/webhook_endpoints", params, wire.WebhookEndpoint, key))

    async def update_endpoint(self, endpoint_id: str, changes: Mapping[str, object]) -> told.EndpointFacts:
        """Change what stands in `changes`, by Stripe's names; its secret stays."""
        path = path_of("/v1/webhook_endpoints", endpoint_id)
        return _endpoint(await self._call("post", path, changes, wire.WebhookEndpoint))

    # --- the customer portal ---

    async def portals(self) -> tuple[told.PortalFacts, ...]:
        """Every active configuration with its products, the newest first."""
        params = {"active": True, "expand": [f"data.{PORTAL_PRODUCTS}"]}
        found = self._every("/v1/billing_portal/configurations", params, wire.PortalConfiguration)
        return tuple([_portal(given) async for given in found])

    async def save_portal(self, configuration_id: str | None, wanted: Mapping[str, object]) -> told.PortalFacts:
        """A new configuration, or the one of this id changed to `wanted`."""
        path = "/v1/billing_portal/configurations"
        path = path if configuration_id is None else path_of(path, configuration_id)
        params = {**wanted, "expand": [PORTAL_PRODUCTS]}
        return _portal(await self._call("post", path, params, wire.PortalConfiguration))

    # --- events ---

    async def events(
        self, *, newer_than: str | None = None, older_than: str | None = None, since: int | None = None, **more: object
    ) -> list[bytes]:
        """At most a page of the handled types' events, the oldest first: the next after an event, or the latest ones
        (`older_than` an event, since a moment in s).

        Raises NotFound or InvalidRequest when Stripe does not keep that event any more (30 days).
        """
        params: dict[str, object] = {"types": list(told.HANDLED_EVENTS), "limit": PAGE, **more}
        if newer_than is not None:
            params["ending_before"] = newer_than
        if older_than is not None:
            params["starting_after"] = older_than
        if since is not None:
            params["created"] = {"gte": since}
        page = await self._call("get", "/v1/events", params, wire.Page[msgspec.Raw])
        return [bytes(event) for event in reversed(page.data)]


def _endpoint(given: wire.WebhookEndpoint) -> told.EndpointFacts:
    return told.EndpointFacts(
        given.id, given.url, given.status == "enabled", tuple(given.enabled_events), given.api_version, given.metadata,
        given.secret,
    )  # fmt: skip


def _portal(given: wire.PortalConfiguration) -> told.PortalFacts:
    headline = given.business_profile.headline if given.business_profile else None
    return told.PortalFacts(given.id, given.features, given.is_default, given.metadata or {}, headline)


def _dated(headers: Mapping[str, str]) -> int | None:
    """The moment of an answer by its `Date` header (RFC 9110, 6.6.1), in ms."""
    said = next((value for name, value in headers.items() if name.lower() == "date"), None)
    try:
        return int(parsedate_to_datetime(said).timestamp() * 1000) if said else None
    except ValueError:
        return None


@asynccontextmanager
async def opened(
    secret_key: str, *, api_version: str | None = None, api_base: str | None = None, pace: Pace | None = None
) -> AsyncIterator[StripeAccount]:
    """A gateway for the time of a block, as commands use it."""
    gateway = StripeAccount(secret_key, api_version=api_version, api_base=api_base, pace=pace)
    try:
        yield gateway
    finally:
        await gateway.close()


@asynccontextmanager
async def open_account(settings: Settings, pace: Pace | None = None) -> AsyncIterator[StripeAccount]:
    """The account of this installation for the time of a block. Raises ConfigurationError without a key."""
    stripe = settings.stripe
    if stripe.secret_key is None:
        raise ConfigurationError(
            "STRIPE_SECRET_KEY is not set",
            setting="STRIPE_SECRET_KEY",
            fix="set it (Dashboard → Developers → API keys), or try everything with `tollhouse demo`",
        )
    key = stripe.secret_key.reveal()
    async with opened(key, api_version=stripe.api_version, api_base=stripe.api_base, pace=pace) as gateway:
        yield gateway
