"""Everything that the catalogue and the settings want at Stripe: products, prices, webhook endpoint, portal (S13, U3).

Each step looks before it acts, so that a run that was killed anywhere is finished by running it again, and a run after
that changes nothing. What is there is adopted: prices by lookup key, our products and the portal configuration by
metadata, an endpoint by its URL. An endpoint's secret is never changed; Stripe tells it once, when the endpoint is made.
"""

import secrets
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tollhouse.billing.account import (
    HANDLED_EVENTS,
    PRODUCT_KEY,
    SECRET_KEY,
    WEBHOOK_PATH,
    AccountFacts,
    EndpointFacts,
    PortalFacts,
    fingerprint,
)
from tollhouse.billing.ids_file import Attempt, EndpointId, Ids
from tollhouse.billing.model import PriceFacts
from tollhouse.billing.setup import PriceOutcome, ProductOutcome, ensure_price, ensure_product, remember_price
from tollhouse.billing.stripe import StripeAccount
from tollhouse.billing.wanted import WantedPrice, WantedProduct, differences, portal_features, slug, wanted_prices
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.clock import HOUR
from tollhouse.kernel.errors import ConfigurationError, Conflict, NotFound
from tollhouse.settings import Settings
from tollhouse.settings.rules import is_local
from tollhouse.store import Store

ATTEMPT_MS = 23 * HOUR  # Stripe keeps an idempotency key for 24 h at least (docs.stripe.com/api/idempotent_requests)


class Furniture(msgspec.Struct, frozen=True):
    """The webhook endpoint or the portal configuration, and what was done about it, or would be."""

    name: str
    outcome: Literal["found", "created", "updated", "skipped"]
    id: str | None = None
    detail: str = ""


class SetUp(msgspec.Struct, frozen=True):
    """What a run did, or would do. `secret` is that of an endpoint that was made now: nobody tells it again."""

    mode: str
    account: str
    products: tuple[ProductOutcome, ...]
    prices: tuple[PriceOutcome, ...]
    endpoint: Furniture
    portal: Furniture
    ids: Ids
    secret: str | None = None

    @property
    def changes(self) -> int:
        """How many things were made or changed at Stripe."""
        every: list[ProductOutcome | PriceOutcome | Furniture] = [
            *self.products,
            *self.prices,
            self.endpoint,
            self.portal,
        ]
        return sum(done.outcome not in ("found", "skipped") for done in every)


class Installer:
    """One run. `keep` writes the ids file; without a `store` nothing is done, and what would be is told."""

    def __init__(
        self, gateway: StripeAccount, catalog: Catalog, settings: Settings, known: Ids | None, *,
        store: Store | None, keep: Callable[[Ids], None], now: int,
    ) -> None:  # fmt: skip
        self.gateway, self.catalog, self.settings = gateway, catalog, settings
        self.store, self.keep, self.now = store, keep, now
        self.only_plan = store is None
        self.ids = known or Ids("live" if gateway.live_mode else "test", "")
        self.secret: str | None = None

    async def run(self) -> SetUp:
        """Do it all. Raises ConfigurationError for a key of another account, or a fixed price that disagrees."""
        account = await self.gateway.account()
        require_account(account, self.settings, self.ids)
        self.ids = msgspec.structs.replace(self.ids, account=account.id)
        # All of it is looked at first: what cannot be done is told before anything is.
        prices, facts = await self._prices(only_plan=True)
        products = await self._products(prices)
        if not self.only_plan:
            prices, facts = await self._prices(only_plan=False)
        endpoint = await self._endpoint()
        portal = await self._portal(facts)
        return SetUp(
            self.ids.mode,
            account.id,
            tuple(products),
            tuple(prices),
            endpoint,
            portal,
            self._finished(prices),
            self.secret,
        )

    def _finished(self, prices: list[PriceOutcome]) -> Ids:
        """The file as it is once the secret has been handed over."""
        variables = {wanted.lookup_key: wanted.variable for wanted in wanted_prices(self.catalog)}
        named = {price.lookup_key: price.price for price in prices if price.price}
        return msgspec.structs.replace(
            self.ids,
            products={price.plan: price.product for price in prices},
            prices={name: named[key] for key, name in variables.items() if name and key in named},
            packs={key: named[key] for key, name in variables.items() if name is None and key in named},
            attempts={},
        )

    # --- products and prices ---

    async def _prices(
        self, *, only_plan: bool
    ) -> tuple[list[PriceOutcome], list[tuple[WantedPrice, PriceFacts | None]]]:
        outcomes, found = [], []
        for wanted in wanted_prices(self.catalog):
            outcome, facts = await ensure_price(self.gateway, wanted, only_plan=only_plan)
            if facts is not None and self.store is not None and not only_plan:
                await remember_price(self.store, wanted, facts)
            outcomes.append(outcome)
            found.append((wanted, facts))
        return outcomes, found

    async def _products(self, prices: list[PriceOutcome]) -> list[ProductOutcome]:
        """Each once: the one that the prices are of."""
        wanted: dict[str, WantedProduct] = {}
        for price, outcome in zip(wanted_prices(self.catalog), prices, strict=True):
            if not price.retired:
                wanted.setdefault(outcome.product, price.product)
        return [
            await ensure_product(self.gateway, product, product_id=name, only_plan=self.only_plan)
            for name, product in wanted.items()
        ]

    # --- the webhook endpoint ---

    async def _endpoint(self) -> Furniture:
        url = self.settings.url.rstrip("/") + WEBHOOK_PATH
        if unreachable(self.settings):
            detail = "a local address, which Stripe cannot call: use `tollhouse stripe listen`"
            return Furniture(url, "skipped", detail=detail)
        there = endpoints_of(await self.gateway.endpoints(), self.settings)
        attempt = self.ids.attempts.get(url)
        unfinished = attempt is not None and self.now - attempt.at < ATTEMPT_MS
        if there and not (unfinished and self._is_unknown(there[0])):
            return await self._adopt(there[0], len(there))
        if self.only_plan:
            return Furniture(url, "created")
        return await self._create_endpoint(url, attempt if unfinished else None, there)

    def _is_unknown(self, endpoint: EndpointFacts) -> bool:
        """Whether an attempt of ours made it and was broken off before its secret was handed over."""
        ours = endpoint.metadata.get(PRODUCT_KEY) == slug(self.catalog)
        return ours and all(known.id != endpoint.id for known in self.ids.webhook_endpoints.values())

    async def _create_endpoint(self, url: str, attempt: Attempt | None, there: list[EndpointFacts]) -> Furniture:
        """Make it, or get the answer of the attempt that was broken off: its secret has reached nobody yet."""
        attempt = attempt or Attempt(secrets.token_hex(8), self.now)
        self.ids = msgspec.structs.replace(self.ids, attempts={**self.ids.attempts, url: attempt})
        self.keep(self.ids)
        metadata = {PRODUCT_KEY: slug(self.catalog)}
        try:
            made = await self.gateway.create_endpoint(url, HANDLED_EVENTS, metadata, attempt.key)
        except Conflict:  # the attempt was another version's
            if there:
                return await self._adopt(there[0], len(there))
            return await self._create_endpoint(url, None, there)
        if made.secret is None:
            return await self._adopt(made, 1)
        mark = fingerprint(made.secret)
        try:
            await self.gateway.update_endpoint(made.id, {"metadata": {SECRET_KEY: mark}})
        except NotFound:  # it was deleted since that attempt
            return await self._create_endpoint(url, None, there)
        self.secret = made.secret
        self._know_endpoint(url, EndpointId(made.id, mark))
        return Furniture(url, "created", made.id)

    async def _adopt(self, endpoint: EndpointFacts, number: int) -> Furniture:
        if endpoint.rolled_back is not None:  # on purpose: undoing it brings it back, and nobody else
            self._know_endpoint(endpoint.url, EndpointId(endpoint.id, endpoint.metadata.get(SECRET_KEY)))
            detail = f"disabled by the roll-back {endpoint.rolled_back}: `tollhouse stripe rollback --undo` enables it"
            return Furniture(endpoint.url, "found", endpoint.id, detail)
        changes: dict[str, object] = {}
        details = []
        if lacking := endpoint.lacks():
            changes["enabled_events"] = [*endpoint.events, *lacking]
            details.append(f"events added: {', '.join(lacking)}")
        if not endpoint.enabled:
            changes["disabled"] = False
            details.append("enabled again")
        mark = self._mark(endpoint)
        if mark != endpoint.metadata.get(SECRET_KEY):
            changes["metadata"] = {SECRET_KEY: mark}
            details.append("marked with the secrets that are set now")
        if changes and not self.only_plan:
            await self.gateway.update_endpoint(endpoint.id, changes)
        if number > 1:
            details.append(f"{number} endpoints call this address: `tollhouse stripe validate` names them")
        self._know_endpoint(endpoint.url, EndpointId(endpoint.id, mark))
        return Furniture(endpoint.url, "updated" if changes else "found", endpoint.id, "; ".join(details))

    def _mark(self, endpoint: EndpointFacts) -> str | None:
        """Which secrets are its own. While one is rolled the old one, which is known, vouches for the new one beside it."""
        ours = [fingerprint(secret.reveal()) for secret in self.settings.stripe.webhook_secrets]
        known = endpoint.marks()
        return ",".join(ours) if known & set(ours) and known != set(ours) else endpoint.metadata.get(SECRET_KEY)

    def _know_endpoint(self, url: str, known: EndpointId) -> None:
        self.ids = msgspec.structs.replace(self.ids, webhook_endpoints={**self.ids.webhook_endpoints, url: known})

    # --- the customer portal ---

    async def _portal(self, prices: list[tuple[WantedPrice, PriceFacts | None]]) -> Furniture:
        present = portal_of(await self.gateway.portals(), slug(self.catalog))
        wanted = wanted_portal(self.catalog, portal_prices(prices))
        lacking = portal_differences(present, wanted)
        unmade = any(facts is None and wanted.plan is not None for wanted, facts in prices)
        name = "customer portal"
        if present is not None and not lacking and not unmade:
            return self._known_portal(Furniture(name, "found", present.id))
        outcome: Literal["created", "updated"] = "created" if present is None else "updated"
        detail = (", ".join(lacking) or "the new prices") if present is not None else ""
        if self.only_plan:
            return Furniture(name, outcome, present.id if present else None, detail)
        saved = await self.gateway.save_portal(present.id if present else None, wanted)
        return self._known_portal(Furniture(name, outcome, saved.id, detail))

    def _known_portal(self, done: Furniture) -> Furniture:
        self.ids = msgspec.structs.replace(self.ids, portal_configuration=done.id)
        return done


def require_account(account: AccountFacts, settings: Settings, known: Ids | None) -> None:
    """Raises ConfigurationError unless the key belongs to the account that the settings, or an earlier run, name."""
    expected = settings.stripe.account or (known.account if known is not None else "")
    if expected and expected != account.id:
        where = "STRIPE_ACCOUNT says" if settings.stripe.account else "an earlier run set up"
        raise ConfigurationError(
            f"STRIPE_SECRET_KEY is a key of the account {account.id} ({account.name}), and {where} {expected}",
            code="wrong_account",
            setting="STRIPE_SECRET_KEY",
            fix=f"set the key of {expected}; to move to {account.id}, set STRIPE_ACCOUNT to it and take the ids file away",
        )


def unreachable(settings: Settings) -> bool:
    """Whether Stripe itself could never call this address; a sandbox can."""
    return settings.stripe.api_base is None and is_local(urlsplit(settings.url).hostname or "")


def endpoints_of(found: tuple[EndpointFacts, ...], settings: Settings) -> list[EndpointFacts]:
    """Those that call this instance, on any of its paths: enabled ones first, then the oldest."""
    paths = dict.fromkeys((WEBHOOK_PATH, *settings.stripe.webhook_paths))
    ours = {_address(settings.url.rstrip("/") + path) for path in paths}
    return sorted((known for known in found if _address(known.url) in ours), key=lambda known: not known.enabled)


def _address(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.hostname or "").lower(), port, parts.path.rstrip("/")


def portal_of(found: tuple[PortalFacts, ...], product: str) -> PortalFacts | None:
    """Ours, by its metadata."""
    return next((known for known in found if known.metadata.get(PRODUCT_KEY) == product), None)


def portal_prices(prices: list[tuple[WantedPrice, PriceFacts | None]]) -> dict[str, list[str]]:
    """The recurring prices that customers may change to, by product."""
    found: dict[str, list[str]] = {}
    for wanted, facts in prices:
        if facts is not None and wanted.plan is not None and not wanted.plan.contact_only:
            found.setdefault(facts.product, []).append(facts.id)
    return found


def wanted_portal(catalog: Catalog, prices: dict[str, list[str]]) -> dict[str, object]:
    """The configuration, by Stripe's names. Where customers return to is said at each visit, so that environments may
    share an account.
    """
    return {
        "business_profile": {"headline": catalog.product.name},
        "metadata": {PRODUCT_KEY: slug(catalog)},
        "features": portal_features(prices),
    }


def portal_differences(present: PortalFacts | None, wanted: dict[str, object]) -> list[str]:
    """What is not as it is wanted, by Stripe's names."""
    if present is None:
        return ["all of it"]
    there = {
        "business_profile": {"headline": present.headline},
        "metadata": present.metadata,
        "features": present.features,
    }
    return differences(there, wanted)
