"""Looks at Stripe on their way into our books: those that are ready at once are applied in one transaction.

What becomes ready while one group is being written is the next one; no timer makes anybody wait, and no look waits for
another one's answer from Stripe. A group that cannot be written is taken apart: nobody suffers for another customer.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.applying import Applied, FenceLost, learn, write
from tollhouse.billing.counting import Tally
from tollhouse.billing.kept import Kept, pass_fences
from tollhouse.billing.lagging import LOOK_AGAIN_AFTER_MS
from tollhouse.billing.model import Link, Payment, Snapshot, WebhookEvent
from tollhouse.billing.pausing import require_applying
from tollhouse.billing.payments import keep
from tollhouse.catalog.model import Catalog
from tollhouse.store import Store, Tx, Value, cell_of, inbox
from tollhouse.store.errors import ConnectionLost
from tollhouse.store.inbox import Event

MOST_TOGETHER = 8
"""Their accounts are locked meanwhile, on SQLite everybody else's too."""


class Look(msgspec.Struct, frozen=True):
    """What Stripe said about a customer, and the events that are answered by it, which `claim` holds. `again`: Stripe may
    have answered an older state than the events tell."""

    link: Link
    snapshot: Snapshot
    payments: list[Payment]
    events: list[Event]
    read: list[WebhookEvent]
    claim: str
    again: bool


class _Ready:
    """A look, and who waits for it to be applied."""

    __slots__ = ("applied", "look")

    def __init__(self, look: Look, applied: "asyncio.Future[Applied]") -> None:
        self.look = look
        self.applied = applied


class Together:
    """One process's way from looks into the books."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._ready: list[_Ready] = []
        self._writing: asyncio.Task[None] | None = None

    async def apply(self, look: Look) -> Applied:
        """Returns once it is committed. Raises FenceLost and Paused; then nothing of it is written."""
        applied: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        self._ready.append(_Ready(look, applied))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="applying")
        return await applied

    async def _write(self) -> None:
        try:
            while self._ready:
                await self._apply_group(self._next_group())
        finally:  # where this task was ended from outside, nobody waits for ever
            self._writing = None
            for left in self._ready:
                left.applied.cancel()
            self._ready = []

    def _next_group(self) -> list[_Ready]:
        """The first of each customer: a second one has lost its fence by then."""
        group: dict[str, _Ready] = {}
        for ready in self._ready:
            if len(group) < MOST_TOGETHER:
                group.setdefault(ready.look.link.id, ready)
        self._ready = [ready for ready in self._ready if group.get(ready.look.link.id) is not ready]
        return list(group.values())

    async def _apply_group(self, group: Sequence[_Ready]) -> None:
        try:
            outcomes = await apply_all(self._store, self._catalog, [ready.look for ready in group])
        except Exception as error:
            if len(group) == 1 or isinstance(error, ConnectionLost):
                _fail(group, error)
                return
            await asyncio.gather(*(self._apply_group([ready]) for ready in group))
            return
        except BaseException as ended:
            _fail(group, ended)
            raise
        for ready, outcome in zip(group, outcomes, strict=True):
            if outcome is None:
                _fail([ready], FenceLost(ready.look.link))
            elif not ready.applied.done():
                ready.applied.set_result(outcome)


def _fail(group: Sequence[_Ready], error: BaseException) -> None:
    for ready in group:
        if not ready.applied.done():
            ready.applied.set_exception(error)


async def apply_all(store: Store, catalog: Catalog, looks: Sequence[Look]) -> list[Applied | None]:
    """Each look, of customers apart, in one transaction; None for one whose fence has moved. Raises Paused."""
    now, tally = store.clock.now_ms(), Tally()
    async with store.transaction() as tx:
        if len(looks) > 1 and tx.dialect == "postgresql":
            await tx.execute(queries.WAIT_SHORTLY)
        await require_applying(tx)
        kept = await pass_fences(tx, catalog, [(look.link, look.snapshot) for look in looks], now)
        passed = [look for look in looks if look.link.id in kept]
        await learn(tx, [(kept[look.link.id].prices, look.snapshot) for look in passed], now)
        applied = {look.link.id: await _apply(tx, catalog, look, kept[look.link.id], now, tally) for look in passed}
        await _end(tx, [(look, applied[look.link.id]) for look in passed], now, tally)
        await tally.write(tx)
    return [applied.get(look.link.id) for look in looks]


async def _apply(tx: Tx, catalog: Catalog, look: Look, kept: Kept, now: int, tally: Tally) -> Applied:
    """The customer, and what the events themselves say of its payments and Checkout pages."""
    customer = look.link.customer
    applied = await write(tx, catalog, kept, look.snapshot, now, tally)
    if look.again:
        await tx.execute(queries.LOOK_SOONER, id=look.link.id, due_at=now + LOOK_AGAIN_AFTER_MS)
    by_bank = {pack.payment for pack in look.snapshot.awaited}
    for payment in look.payments:
        await keep(tx, customer, payment, now, told=payment.id in by_bank)
    for event in look.read:
        session: dict[str, Value] = {
            "cell": cell_of(customer), "customer": customer, "id": event.object_id, "now": now
        }  # fmt: skip
        if event.type == "checkout.session.completed":
            await tx.execute(queries.SESSION_COMPLETED, **session)
        elif event.type == "checkout.session.expired":
            await tx.execute(queries.SESSION_EXPIRED, **session)
    if any(event.type == "customer.deleted" for event in look.read):
        await tx.execute(queries.UNLINK, id=look.link.id)
    return applied


async def _end(tx: Tx, ends: Sequence[tuple[Look, Applied]], now: int, tally: Tally) -> None:
    """The events are handled; those of a customer with a price that no plan maps to wait for staff."""
    handled: list[Look] = []
    for look, applied in ends:
        if not applied.unmapped:
            handled.append(look)
            continue
        error = f"no plan maps to {', '.join(applied.unmapped)}; the payment is kept; fix: name its product in a plan"
        for event in look.events:
            held = await inbox.park(tx, event, look.claim, attempts=event.attempts + 1, error=error, failed_at=now)
            tally.failed(event, held, now)
    done = await inbox.done(tx, [(event, look.claim) for look in handled for event in look.events], now)
    for look in handled:
        if all(event.id in done for event in look.events):
            tally.mended(look.events)
