"""Which background work a house has, and how it is begun and ended."""

import asyncio

import structlog

from tollhouse.admission.lapsing import sweep
from tollhouse.alerts.actions import Messenger, open_messenger, send_what_waited, watch_and_tell
from tollhouse.alerts.hooks.actions import forget_old
from tollhouse.alerts.hooks.delivering import Deliverer
from tollhouse.alerts.hooks.opening import open_hooks
from tollhouse.alerts.hooks.sending import Sender
from tollhouse.billing.attempts import forget_old_attempts
from tollhouse.billing.counting import forget_old_counts
from tollhouse.billing.files import Fetcher
from tollhouse.billing.reconciling import Reconciler, run_due
from tollhouse.billing.refused import ask_about_refused
from tollhouse.billing.stripe import StripeGateway
from tollhouse.billing.syncing import Syncer, look_again_due
from tollhouse.house import House
from tollhouse.kernel.errors import Conflict
from tollhouse.store import Store
from tollhouse.worker.delivering import deliver_once, spread_once
from tollhouse.worker.handing import hand_over
from tollhouse.worker.jobs import Job, run_jobs
from tollhouse.worker.sweeping import sweep_accounts
from tollhouse.worker.yielding import giving_way

CUSTOMERS_WHILE_BUSY = 2
CLAIMS_AT_ONCE = 2  # of a few customers each: more would ask Stripe for more than the 100 calls a second that it allows
TIDY_PAUSE_SECONDS = 600.0
WATCH_PAUSE_SECONDS = 5.0
REFUSED_PAUSE_SECONDS = 15.0
RECONCILIATION_PAUSE_SECONDS = 60.0
NIGHTLY_CUSTOMERS_A_SECOND = 5.0  # about 15 calls: Stripe allows 25 in test mode, and customers are buying meanwhile

log = structlog.get_logger(__name__)


def jobs_of(house: House) -> list[Job]:
    """Every kind of background work of this installation. Without Stripe's key its events wait in the inbox."""
    store, catalog = house.store, house.catalog
    messenger = open_messenger(house.settings, catalog.product.name, catalog.product.default_locale)
    handing = hand_over(house, messenger)

    async def post() -> bool:
        return await deliver_once(store, handing, "letters")

    async def events() -> bool:
        return await spread_once(store, handing, house.bells.hooks)

    async def lapse() -> bool:
        lapsed = await sweep(store, catalog)
        for customer in lapsed:
            house.admission.forget(customer)
        return bool(lapsed)

    async def watching() -> bool:
        if await watch_and_tell(store, messenger):
            house.bells.outbox.set()
        return False

    jobs = [
        Job("alerts", watching, WATCH_PAUSE_SECONDS),
        Job("outbox", post, 0.5, house.bells.outbox),
        Job("events", events, 0.5, house.bells.outbox),
        *_hooks(house),
        Job("accounts", lambda: sweep_accounts(store, catalog), 1.0),
        Job("leases", lapse, 1.0),
        Job("tidy", lambda: _tidy(store, messenger), TIDY_PAUSE_SECONDS),
    ]
    if house.stripe is None:
        log.warning("worker.without_stripe", setting="STRIPE_SECRET_KEY", meaning="events of Stripe wait in the inbox")
        return jobs
    return [*jobs, *_stripes(house, house.stripe)]


def _stripes(house: House, stripe: StripeGateway) -> list[Job]:
    """What asks Stripe."""
    store, catalog = house.store, house.catalog
    syncer = Syncer(store, catalog, stripe)
    reconciler = Reconciler(store, catalog, stripe, NIGHTLY_CUSTOMERS_A_SECOND)

    gently = giving_way(syncer.work_once, lambda: syncer.work_once(CUSTOMERS_WHILE_BUSY), lambda: house.admission.taken)

    async def compare() -> bool:
        run = await run_due(store)
        if run is None:
            return False
        try:
            await reconciler.step(run)
        except Conflict:  # another process has just taken it
            return False
        finally:  # one step a round, so that a process that is told to stop may; whoever comes next goes on
            await reconciler.give_back(run)
        return True

    async def refused() -> bool:
        return await ask_about_refused(store, stripe) > 0

    return [
        Job("refused_webhooks", refused, REFUSED_PAUSE_SECONDS, house.bells.watch),
        Job("inbox", gently, 0.5, house.bells.inbox, CLAIMS_AT_ONCE),
        Job("look_again", lambda: look_again_due(store), 1.0),
        Job("invoices", Fetcher(store, stripe).work_once, 1.0),
        Job("reconciliation", compare, RECONCILIATION_PAUSE_SECONDS, house.bells.reconciliation),
    ]


async def _tidy(store: Store, messenger: Messenger) -> bool:
    """What is too old to matter goes; e-mail that waited for its server goes out."""
    async with store.transaction() as tx:
        await forget_old_attempts(tx, store.clock.now_ms())
        await forget_old_counts(tx, store.clock.now_ms())
        await forget_old(tx, store.clock.now_ms())
        await send_what_waited(tx, messenger, store.clock.now_ms())
    return False


def _hooks(house: House) -> list[Job]:
    """Webhooks out: each endpoint's deliveries in tasks of their own, finished before the process ends."""
    hooks = open_hooks(house.settings)
    deliverer = Deliverer(house.store, hooks.vault, Sender(hooks.reach))
    return [Job("hooks", deliverer.round, 0.5, house.bells.hooks, drain=deliverer.close)]


async def work(house: House, stopping: asyncio.Event) -> None:
    """Do background work until `stopping` is set, then finish what is being done."""
    await run_jobs(jobs_of(house), stopping)
