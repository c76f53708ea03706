"""Our books against Stripe's, customer by customer: what differs is shown, and repaired by applying a fresh look.

What differs is what applying would change, so that a dry run shows exactly what a repair would do: it applies, compares,
and rolls back. A run is a row; it goes through the linked customers in order, a few at once, under a lease. Whoever finds
it unfinished with a lapsed lease goes on where it stopped.
"""

import asyncio

import msgspec
import structlog

from tollhouse.billing import queries
from tollhouse.billing.applying import FenceLost
from tollhouse.billing.comparing import Difference, apply_and_compare, what_differs
from tollhouse.billing.linking import link_of_customer, link_of_stripe
from tollhouse.billing.looking import look
from tollhouse.billing.model import Link, Snapshot
from tollhouse.billing.pausing import Paused, require_applying
from tollhouse.billing.strangers import call_for, find_strangers
from tollhouse.billing.stripe import Pace, StripeGateway
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.clock import DAY, HOUR, MINUTE
from tollhouse.kernel.errors import Conflict, NotFound, TollhouseError, Unavailable
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.kernel.ids import new_id
from tollhouse.store import Row, Store, Tx, cell_of, outbox

CHUNK = 20
AT_ONCE = 4
LEASE_MS = 5 * MINUTE
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
NIGHT_MS = 3 * HOUR  # after midnight, UTC
NIGHTLY = "nightly"
LINKED = "linked at Stripe to"
EVERY_DIFFERENCE = 10_000
UNREADABLE = "error"  # the field of a line that tells why a customer could not be compared

log = structlog.get_logger(__name__)


class Compared(msgspec.Struct, frozen=True):
    """One customer, compared with Stripe. `error` says why it could not be."""

    customer: str
    differences: tuple[Difference, ...] = ()
    error: str | None = None


class Run(msgspec.Struct, frozen=True):
    """One pass over the customers. `after` is the last one that is done; times in ms."""

    id: str
    by_whom: str
    why: str
    dry_run: bool
    only: str | None
    after: str
    started_at: int
    finished_at: int | None
    looked: int
    different: int
    failed: int


class Found(msgspec.Struct, frozen=True):
    """A difference as it was kept: of which run and customer, and when."""

    reconciliation: str
    customer: str
    field: str
    ours: str | None
    stripes: str | None
    at: int
    repaired: bool


class Reconciler:
    """What a pass needs. Two of them may work on two runs; one run is worked on by one at a time."""

    def __init__(
        self, store: Store, catalog: Catalog, gateway: StripeGateway, customers_a_second: float | None = None
    ) -> None:
        """`customers_a_second` slows it down beside a gateway that others use; each costs three or four calls."""
        self.store = store
        self.catalog = catalog
        self.gateway = gateway
        self._pace = None if customers_a_second is None else Pace(customers_a_second)
        self._holder = new_id("hol")

    async def step(self, run: Run) -> tuple[Run, list[Compared]]:
        """The next few. Raises Conflict while another works on this run, Paused to repair now, Unavailable when Stripe is down."""
        await self._claim(run)
        async with self.store.reading() as tx:
            links = await _next_links(tx, run)
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(link: Link) -> Compared:
            async with limit:
                if self._pace is not None:
                    await self._pace.turn()
                return await self._compare(run, link)

        outcomes = await asyncio.gather(*(one(link) for link in links), return_exceptions=True)
        for outcome in outcomes:  # what was repaired is kept: these customers are compared again by whoever goes on
            if isinstance(outcome, BaseException):
                await self.give_back(run)
                raise outcome
        compared = [outcome for outcome in outcomes if isinstance(outcome, Compared)]
        strangers = await self._strangers(run) if run.only is None and len(links) < CHUNK else []
        async with self.store.transaction() as tx:
            now = self.store.clock.now_ms()
            after = links[-1].id if links else run.after
            await tx.execute(
                queries.ADVANCE_RECONCILIATION, id=run.id, holder=self._holder, after=after, looked=len(compared),
                error=UNREADABLE, until=now + LEASE_MS,
            )  # fmt: skip
            if len(links) < CHUNK:
                await tx.execute(queries.FINISH_RECONCILIATION, id=run.id, holder=self._holder, now=now)
            done = await read_run(tx, run.id)
            if done.finished_at is not None and done.by_whom == NIGHTLY and done.different + done.failed:
                await outbox.put(tx, _alert(done), now=now)
        return done, compared + strangers

    async def _strangers(self, run: Run) -> list[Compared]:
        """Whoever at Stripe is linked to nobody and should be; the worker is called for each unless this is a dry run."""
        found: list[Compared] = []
        try:
            async for stranger in find_strangers(self.store, self.catalog, self.gateway):
                one = Compared(stranger.owner or stranger.id, (Difference(LINKED, None, stranger.id),))
                async with self.store.transaction() as tx:
                    await _keep(tx, run, one.customer, one.differences, self._now(), not run.dry_run)
                    if not run.dry_run:
                        await call_for(tx, stranger, run.id, self._now())
                found.append(one)
        except TollhouseError:
            await self.give_back(run)
            raise
        return found

    async def give_back(self, run: Run) -> None:
        """Let somebody else go on with this run at once."""
        async with self.store.transaction() as tx:
            await tx.execute(queries.GIVE_BACK_RECONCILIATION, id=run.id, holder=self._holder)

    async def _claim(self, run: Run) -> None:
        now = self.store.clock.now_ms()
        async with self.store.transaction() as tx:
            if not await tx.execute(
                queries.CLAIM_RECONCILIATION, id=run.id, holder=self._holder, now=now, until=now + LEASE_MS
            ):
                raise Conflict(
                    "another process works on this reconciliation", code="reconciliation_running",
                    fix="wait until it has ended; when its process has died, go on in five minutes",
                )  # fmt: skip

    async def _compare(self, run: Run, link: Link) -> Compared:
        """One customer, again after a pause while Stripe asks for one. Raises Unavailable when Stripe answers nobody."""
        try:
            differences = await self._patiently(run, link)
        except Paused:
            raise
        except TollhouseError as error:
            if isinstance(error, Unavailable):
                await self.gateway.require_answering()  # else it is this customer alone, who must not hold up the rest
            async with self.store.transaction() as tx:
                await _keep(tx, run, link.customer, (Difference(UNREADABLE, None, str(error)),), self._now(), False)
            return Compared(link.customer, error=str(error))
        if differences:
            log.info(
                "billing.reconciled", customer=link.customer, run=run.id, by=run.by_whom, why=run.why,
                repaired=not run.dry_run, fields=[found.field for found in differences],
            )  # fmt: skip
        return Compared(link.customer, differences)

    def _now(self) -> int:
        return self.store.clock.now_ms()

    async def _patiently(self, run: Run, link: Link) -> tuple[Difference, ...]:
        for pause in (*PAUSES_SECONDS, None):
            try:
                async with self.store.reading() as tx:
                    fresh = await link_of_stripe(tx, link.id)
                if fresh is None:  # unlinked meanwhile
                    return ()
                snapshot = await look(self.store, self.catalog, self.gateway, link, packs=True, refunds=True)
                return await self._settle(run, fresh, snapshot)
            except FenceLost:
                continue
            except Unavailable:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise Unavailable(f"{link.id} changes faster than it can be compared", code="fence_lost", fix="run it again")

    async def _settle(self, run: Run, link: Link, snapshot: Snapshot) -> tuple[Difference, ...]:
        """Apply the look and compare before with after, in one transaction; a dry run applies nothing."""
        customer, now = link.customer, self._now()
        if run.dry_run:
            differences = await what_differs(self.store, self.catalog, link, snapshot, now)
            async with self.store.transaction() as tx:
                await _keep(tx, run, customer, differences, now, False)
            return differences
        async with self.store.transaction() as tx:
            await require_applying(tx)
            differences = await apply_and_compare(tx, self.catalog, link, snapshot, now)
            await _keep(tx, run, customer, differences, now, True)
        return differences


async def begin(
    tx: Tx, *, by_whom: str, why: str, dry_run: bool, now: int, only: str | None = None, run_id: str | None = None
) -> Run:
    """A new run, or the unfinished one of the same kind, which goes on where it stopped. `only`: one Stripe customer."""
    row = await tx.fetch_one(queries.UNFINISHED_RECONCILIATION, dry_run=int(dry_run)) if only is None else None
    if row is not None:
        return _run(row)
    identifier = run_id or new_id("rec")
    await tx.execute(
        queries.BEGIN_RECONCILIATION, id=identifier, by_whom=by_whom, why=why, dry_run=int(dry_run), stripe_customer=only,
        now=now,
    )  # fmt: skip
    return await read_run(tx, identifier)


async def reconcile_customer(
    store: Store, catalog: Catalog, gateway: StripeGateway, customer: str, *, by_whom: str, why: str
) -> tuple[Run, list[Found]]:
    """Repair one customer at once. Unfinished where a worker has taken it first; then it goes on there.

    Raises NotFound `not_linked`, Paused, and Unavailable when Stripe does not answer: a worker then goes on with it.
    """
    async with store.transaction() as tx:
        only = await stripe_id_of(tx, customer)
        run = await begin(tx, by_whom=by_whom, why=why, dry_run=False, now=store.clock.now_ms(), only=only)
    reconciler = Reconciler(store, catalog, gateway)
    try:
        while run.finished_at is None:
            run, _ = await reconciler.step(run)
    except Conflict as error:
        if error.code != "reconciliation_running":
            raise
    async with store.reading() as tx:
        return await read_run(tx, run.id), await differences_of_run(tx, run.id, EVERY_DIFFERENCE)


async def run_due(store: Store) -> Run | None:
    """What a worker should go on with: a run that nobody works on, or tonight's. None when there is nothing to do."""
    now = store.clock.now_ms()
    night = (now - NIGHT_MS) // DAY * DAY + NIGHT_MS
    async with store.reading() as tx:
        left = await tx.fetch_one(queries.LEFT_RECONCILIATION, now=now)
        if left is not None:
            return _run(left)
        last = await tx.fetch_one(queries.LAST_RECONCILIATION, by_whom=NIGHTLY)
    if last is None or last["at"] is None or last["at"] >= night:
        return None
    async with store.transaction() as tx:
        return await begin(
            tx, by_whom=NIGHTLY, why="every night", dry_run=False, now=now, run_id=f"rec_{NIGHTLY}_{night}"
        )


async def stripe_id_of(tx: Tx, customer: str) -> str:
    """The Stripe customer of one of ours. Raises NotFound `not_linked` for one that never opened Checkout."""
    known = await link_of_customer(tx, customer)
    if known is None:
        raise NotFound(
            f"{customer} has no customer at Stripe: it has never opened Checkout", code="not_linked",
            fix="nothing is to be done for it; compare all that have one",
        )  # fmt: skip
    return known.id


async def count_links(tx: Tx) -> int:
    """How many customers are linked to Stripe's."""
    row = await tx.fetch_one(queries.COUNT_LINKS)
    return int(row["number"]) if row is not None else 0


async def read_run(tx: Tx, identifier: str) -> Run:
    """One run. Raises NotFound."""
    row = await tx.fetch_one(queries.READ_RECONCILIATION, id=identifier) if identifier.isprintable() else None
    if row is None:
        raise NotFound("there is no such reconciliation", code="reconciliation_not_found", fix="list them first")
    return _run(row)


async def runs(tx: Tx, most: int = 20) -> list[Run]:
    """The newest runs first."""
    return [_run(row) for row in await tx.fetch(queries.RECONCILIATIONS, most=most)]


async def differences_of_run(tx: Tx, run: str, most: int) -> list[Found]:
    """What a run found, in the order in which it was found."""
    return [_found(row) for row in await tx.fetch(queries.DIFFERENCES_OF_RUN, reconciliation=run, most=most)]


async def differences_of_customer(tx: Tx, customer: str, most: int) -> list[Found]:
    """What was found about a customer, the newest first."""
    rows = await tx.fetch(queries.DIFFERENCES_OF_CUSTOMER, cell=cell_of(customer), customer=customer, most=most)
    return [_found(row) for row in rows]


async def _next_links(tx: Tx, run: Run) -> list[Link]:
    if run.only is not None:
        found = await link_of_stripe(tx, run.only) if run.after == "" else None
        return [] if found is None else [found]
    rows = await tx.fetch(queries.LINKS_AFTER, after=run.after, most=CHUNK)
    return [Link(row["id"], row["customer"], row["sync_seq"]) for row in rows]


async def _keep(tx: Tx, run: Run, customer: str, differences: tuple[Difference, ...], now: int, repaired: bool) -> None:
    await tx.execute_many(
        queries.KEEP_DIFFERENCE,
        [
            {
                "cell": cell_of(customer), "customer": customer, "reconciliation": run.id, "field": found.field,
                "ours": found.ours, "stripes": found.stripes, "at": now, "repaired": int(repaired),
            }
            for found in differences
        ],
    )  # fmt: skip


def _run(row: Row) -> Run:
    return Run(
        row["id"], row["by_whom"], row["why"], bool(row["dry_run"]), row["stripe_customer"], row["after"], row["started_at"],
        row["finished_at"], row["looked"], row["different"], row["failed"],
    )  # fmt: skip


def _found(row: Row) -> Found:
    return Found(
        row["reconciliation"], row["customer"], row["field"], row["ours"], row["stripes"], row["at"],
        bool(row["repaired"]),
    )  # fmt: skip


def _alert(run: Run) -> OperatorAlert:
    return OperatorAlert(
        f"reconciliation:{run.id}",
        "medium",
        "Customers differed from Stripe",
        f"Of {run.looked} customers {run.different} differed and were repaired, {run.failed} could not be compared.",
        f"See what differed under /admin/reconciliation/{run.id}; look for events that never arrived.",
    )
