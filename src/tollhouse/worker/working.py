"""Which background work a house has, and how it is begun and ended."""

import asyncio

import structlog

from tollhouse.admission.lapsing import sweep
from tollhouse.alerts.actions import deliver, open_messenger, send_what_waited
from tollhouse.alerts.hooks.actions import forget_old
from tollhouse.alerts.hooks.delivering import Deliverer
from tollhouse.alerts.hooks.opening import open_hooks
from tollhouse.alerts.hooks.sending import Sender
from tollhouse.billing.attempts import forget_old_attempts
from tollhouse.billing.reconciling import Reconciler, run_due
from tollhouse.billing.syncing import Syncer, look_again_due
from tollhouse.house import House
from tollhouse.kernel.errors import Conflict
from tollhouse.store.outbox import Outgoing
from tollhouse.worker.delivering import deliver_once, spread_once
from tollhouse.worker.jobs import Job, run_jobs
from tollhouse.worker.sweeping import sweep_accounts

CLAIMS_AT_ONCE = 2  # of a few customers each: more would ask Stripe for more than the 100 calls a second that it allows
TIDY_PAUSE_SECONDS = 600.0
RECONCILIATION_PAUSE_SECONDS = 60.0
NIGHTLY_CUSTOMERS_A_SECOND = 5.0  # about 15 calls: Stripe allows 25 in test mode, and customers are buying meanwhile

log = structlog.get_logger(__name__)


def jobs_of(house: House) -> list[Job]:
    """Every kind of background work of this installation. Without Stripe's key its events wait in the inbox."""
    store, catalog = house.store, house.catalog
    messenger = open_messenger(house.settings, catalog.product.name, catalog.product.default_locale)

    async def tell(item: Outgoing) -> None:
        await deliver(messenger, item)

    async def post() -> bool:
        return await deliver_once(store, tell, "letters")

    async def events() -> bool:
        return await spread_once(store, tell, house.bells.hooks)

    async def lapse() -> bool:
        lapsed = await sweep(store, catalog)
        for customer in lapsed:
            house.admission.forget(customer)
        return bool(lapsed)

    async def tidy() -> bool:
        async with store.transaction() as tx:
            await forget_old_attempts(tx, store.clock.now_ms())
            await send_what_waited(tx, messenger, store.clock.now_ms())
            await forget_old(tx, store.clock.now_ms())
        return False

    jobs = [
        Job("outbox", post, 0.5, house.bells.outbox),
        Job("events", events, 0.5, house.bells.outbox),
        *_hooks(house),
        Job("accounts", lambda: sweep_accounts(store, catalog), 1.0),
        Job("leases", lapse, 1.0),
        Job("tidy", tidy, TIDY_PAUSE_SECONDS),
    ]
    if house.stripe is None:
        log.warning("worker.without_stripe", setting="STRIPE_SECRET_KEY", meaning="events of Stripe wait in the inbox")
        return jobs
    syncer = Syncer(store, catalog, house.stripe)
    reconciler = Reconciler(store, catalog, house.stripe, NIGHTLY_CUSTOMERS_A_SECOND)

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

    return [
        *jobs,
        Job("inbox", syncer.work_once, 0.5, house.bells.inbox, CLAIMS_AT_ONCE),
        Job("look_again", lambda: look_again_due(store), 1.0),
        Job("reconciliation", compare, RECONCILIATION_PAUSE_SECONDS, house.bells.reconciliation),
    ]


def _hooks(house: House) -> list[Job]:
    """Webhooks out: each endpoint's deliveries in tasks of their own, finished before the process ends."""
    hooks = open_hooks(house.settings)
    deliverer = Deliverer(house.store, hooks.vault, Sender(hooks.reach))
    return [Job("hooks", deliverer.round, 0.5, house.bells.hooks, drain=deliverer.close)]


async def work(house: House, stopping: asyncio.Event) -> None:
    """Do background work until `stopping` is set, then finish what is being done."""
    await run_jobs(jobs_of(house), stopping)
