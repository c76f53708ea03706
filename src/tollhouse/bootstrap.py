"""Builds everything once, by plain arguments: the house, its application, its background work."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from litestar import Litestar
from litestar.types import ControllerRouterHandler

from tollhouse import admin, web
from tollhouse.admission.desk import Admission
from tollhouse.api import decisions, health, payment_health, runbooks
from tollhouse.api import test_clock as test_clock_api
from tollhouse.api.alerts import alert_routes
from tollhouse.api.app import build_app
from tollhouse.api.beside import beside_routes
from tollhouse.api.billing import billing_routes
from tollhouse.api.catalog import catalog_routes
from tollhouse.api.customers import customer_routes
from tollhouse.api.deciding import hot_routes
from tollhouse.api.events import event_routes
from tollhouse.api.maintenance import maintenance_routes
from tollhouse.api.stripe_operations import stripe_operation_routes
from tollhouse.api.subscribing import subscribing_routes
from tollhouse.api.webhooks import webhook_routes
from tollhouse.billing.checks import WebhookLog
from tollhouse.billing.desk import Desk
from tollhouse.billing.intake import Intake
from tollhouse.billing.stripe.gateway import StripeGateway
from tollhouse.catalog.actions import publish, refresh
from tollhouse.catalog.load import Configuration
from tollhouse.customers.directory import Directory
from tollhouse.customers.keyring import KeyRing
from tollhouse.house import House
from tollhouse.identity.desk import open_desk
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.settings import Settings
from tollhouse.store import test_clock
from tollhouse.store.bells import Bells
from tollhouse.store.opening import AnyStore, open_store
from tollhouse.worker.jobs import Job

LANES = 2
CLOCK_SECONDS = 10.0
REFUSALS_SECONDS = 5.0
VERSIONS_SECONDS = 5.0
TEST_CLOCK_SECONDS = 1.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_house(configuration: Configuration) -> AsyncIterator[House]:
    """Open the store, publish the catalogue, build the rooms; drained and closed at the end of the block."""
    settings = configuration.settings
    async with AsyncExitStack() as stack:
        store = await open_store(settings.database_url.reveal())
        stack.push_async_callback(store.close)
        if settings.test_clock:
            await test_clock.follow(store)
        async with store.transaction() as tx:
            catalog = await publish(tx, configuration.catalog, store.clock.now_ms())
        admission = Admission(
            store, catalog, lanes=lanes_for(settings, store), cache_size=settings.admission.cached_customers
        )
        stack.push_async_callback(admission.close)
        if settings.web.session_secret is None:
            raise ConfigurationError(
                "SESSION_SECRET is not set", setting="SESSION_SECRET", fix="set it to 32 random bytes"
            )
        stripe = open_stripe(settings)
        if stripe is not None:
            stack.push_async_callback(stripe.close)
        bells = Bells()
        house = House(
            settings=settings,
            catalog=catalog,
            store=store,
            admission=admission,
            identity=open_desk(settings.web.session_secret.reveal(), settings.url, catalog.product.name),
            directory=Directory(store),
            keys=KeyRing(store),
            bells=bells,
            stripe=stripe,
            webhooks=WebhookLog(),
            intake=Intake(store, bells.inbox),
            operations=Desk(store, catalog, settings),
        )
        await stack.enter_async_context(house.keys.kept_fresh())
        yield house


def lanes_for(settings: Settings, store: AnyStore) -> int:
    """SQLite has one writer, and processes on the same customers spoil each other's copies less with larger batches."""
    if store.dialect == "sqlite":
        return 1
    return settings.admission.lanes or (LANES if settings.server.workers == 1 else 1)


def open_stripe(settings: Settings) -> StripeGateway | None:
    """The gateway, or None where no key is set (Checkout then says which setting is missing)."""
    key = settings.stripe.secret_key
    if key is None:
        return None
    return StripeGateway(key.reveal(), api_version=settings.stripe.api_version, api_base=settings.stripe.api_base)


def build_application(house: House) -> Litestar:
    """Every entrance over HTTP. Background work is not in it, see `worker.jobs_of`."""
    routes: list[ControllerRouterHandler] = [
        *hot_routes(house),
        *webhook_routes(house),
        decisions.routes(house),
        catalog_routes(house),
        customer_routes(house),
        *billing_routes(),
        *subscribing_routes(),
        *maintenance_routes(),
        *stripe_operation_routes(),
        runbooks.validate_tool_access,
        runbooks.billing_usage,
        health.health,
        payment_health.payment_health,
        *alert_routes(),
        *event_routes(),
        *beside_routes(),
        *([test_clock_api.routes(house)] if house.settings.test_clock else []),
        *web.routes(house),
        *admin.routes(house),
    ]
    return build_app(house, routes, web.error_page(house))


def housekeeping(house: House) -> list[Job]:
    """What every process does for itself: its clock, its counts, the plan versions that others have published."""

    async def measure() -> bool:
        await house.store.measure_clock()
        return False

    async def follow() -> bool:
        await test_clock.follow(house.store)
        return False

    async def flush() -> bool:
        await house.admission.refusals.flush(house.store)
        return False

    async def versions() -> bool:
        async with house.store.reading() as tx:
            fresh = await refresh(tx, house.catalog)
        house.catalog.versions.update(fresh.versions)
        house.catalog.meters.update(fresh.meters)
        return False

    return [
        Job("clock", measure, CLOCK_SECONDS),
        Job("refusals", flush, REFUSALS_SECONDS),
        Job("plan-versions", versions, VERSIONS_SECONDS),
        *([Job("test-clock", follow, TEST_CLOCK_SECONDS)] if house.settings.test_clock else []),
    ]
