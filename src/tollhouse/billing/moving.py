"""Customers told of their move, and moved (rows S18, X4). Each step may be killed, and is run again to go on.

Told: the row about the move and its e-mail are written in one transaction, once. Moved without a subscription: a hundred
in one transaction. With one: what is about to be asked is written first; Stripe is asked outside any transaction, in
words that it takes once; then our books follow in one transaction, under the customer's fence. Whoever is on the target
already is left alone, so nobody is moved twice.

What a customer has left stays: the period that runs is used up as it was paid, the next one brings the new plan's.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date

import msgspec
import structlog

from tollhouse.billing import move_queries as queries
from tollhouse.billing.checkout import Till, price_id_of, require_gateway
from tollhouse.billing.linking import link_of_customer
from tollhouse.billing.model import PLAN_KEY, VERSION_KEY, Item, Subscription
from tollhouse.billing.moves import Choice, Move, target_of
from tollhouse.billing.moves_found import find_moves, key_of
from tollhouse.billing.moving_words import told
from tollhouse.billing.pausing import Paused, require_applying
from tollhouse.billing.prices import read_prices
from tollhouse.billing.stripe import StripeGateway
from tollhouse.billing.stripe import moving as at_stripe
from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.errors import ConfigurationError, Conflict, TollhouseError, Unavailable
from tollhouse.kernel.facts import MailRequested, PlanChanged
from tollhouse.ledger import granting
from tollhouse.ledger.book import open_book, read_state
from tollhouse.store import Store, Tx, cell_of, outbox

MOVED_AT_ONCE = 100
ASKED_AT_ONCE = 4
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
BILLING_PATH = "/app/billing"

log = structlog.get_logger(__name__)


class Failure(msgspec.Struct, frozen=True):
    """A customer who could not be moved, and why."""

    customer: str
    reason: str


class Progress(msgspec.Struct, frozen=True):
    """What a batch came to: accounts looked at, customers told or moved, left as they are (why stands in the preview),
    not told yet and so not moved, and those who could not be moved."""

    looked: int
    done: int = 0
    stay: int = 0
    untold: int = 0
    failed: tuple[Failure, ...] = ()


class Mover:
    """What moving needs; `gateway` only where somebody has a subscription."""

    def __init__(self, store: Store, catalog: Catalog, gateway: StripeGateway | None, url: str) -> None:
        self.store = store
        self.catalog = catalog
        self.gateway = gateway
        self.url = url
        self._prices: dict[tuple[str, str, str], str] = {}

    def _now(self) -> int:
        return self.store.clock.now_ms()

    # --- telling

    async def notify(self, choice: Choice, on: date | None) -> AsyncIterator[Progress]:
        """An e-mail for everybody who would move and was not told of this move before. `on`: the day that it names."""
        async for batch in find_moves(self.store, self.catalog, choice):
            moving = [move for move in batch.moves if move.stays is None]
            done = 0
            if moving:
                async with self.store.transaction() as tx:
                    for move in moving:
                        done += await self._tell(tx, move, on)
            yield Progress(batch.looked, done, len(batch.moves) - len(moving))

    async def _tell(self, tx: Tx, move: Move, on: date | None) -> int:
        now = self._now()
        if move.notified or not await tx.execute(queries.NOTIFIED, **key_of(move, cell_of(move.customer)), now=now):
            return 0
        values = told(self.catalog, move, on) | {"url": self.url.rstrip("/") + BILLING_PATH}
        fact = MailRequested("plan_moves", move.email, move.locale, values)
        await outbox.put(tx, fact, customer=move.customer, now=now)
        return 1

    # --- moving

    async def apply(self, choice: Choice, *, without_notice: bool = False) -> AsyncIterator[Progress]:
        """Move everybody who was told, or all. Raises Unavailable without Stripe's key where it is needed, and when Stripe
        answers nobody; Paused while Stripe's events are parked, at the first subscriber. What was done is done."""
        await self._finish_begun()
        async for batch in find_moves(self.store, self.catalog, choice):
            moving = [move for move in batch.moves if move.stays is None]
            ready = [move for move in moving if without_notice or move.notified]
            done, failed = 0, list[Failure]()
            alone = [move for move in ready if move.subscription is None]
            for first in range(0, len(alone), MOVED_AT_ONCE):
                moved, failures = await self._move_accounts(choice, alone[first : first + MOVED_AT_ONCE])
                done, failed = done + moved, failed + failures
            moved, failures = await self._move_subscribers(choice, [m for m in ready if m.subscription is not None])
            done, failed = done + moved, failed + failures
            stay, untold = len(batch.moves) - len(moving), len(moving) - len(ready)
            yield Progress(batch.looked, done, stay, untold, tuple(failed))

    async def _move_accounts(self, choice: Choice, moves: Sequence[Move]) -> tuple[int, list[Failure]]:
        """All of them in one transaction; where one of them cannot be, each in its own."""
        try:
            async with self.store.transaction() as tx:
                in_order = sorted(moves, key=lambda move: move.customer)  # as the lanes lock them
                return sum([await self._move_account(tx, choice, move) for move in in_order]), []
        except Unavailable:
            raise
        except TollhouseError:
            done, failed = 0, list[Failure]()
        for move in moves:
            try:
                async with self.store.transaction() as tx:
                    done += await self._move_account(tx, choice, move)
            except Unavailable:
                raise
            except TollhouseError as error:
                failed.append(await self._failed(move, error))
        return done, failed

    async def _move_account(self, tx: Tx, choice: Choice, move: Move) -> int:
        """The plan of a locked account; 0 where it has been moved meanwhile."""
        book = await open_book(tx, self.catalog, move.customer, self._now())
        state = book.state
        target = target_of(self.catalog, choice, state)
        if target is None or (state.plan, state.plan_version) != (move.from_plan, move.from_version):
            return 0
        note = granting.metadata_json({"from": f"{move.from_plan}@{move.from_version}", "to_version": target.version})
        book.apply(
            granting.set_plan(
                state, self.catalog, target, None, state.ends_at, state.standing, book.now, note, state.past_due_at
            )
        )
        await book.save(tx)
        await tx.execute(queries.MOVED, **key_of(move, book.cell), now=book.now)
        if move.from_plan != move.to_plan:
            fact = PlanChanged(move.customer, move.from_plan, move.to_plan, book.now)
            await outbox.put(tx, fact, customer=move.customer, now=book.now)
        return 1

    async def _failed(self, move: Move, error: TollhouseError) -> Failure:
        async with self.store.transaction() as tx:
            key = key_of(move, cell_of(move.customer))
            await tx.execute(queries.FAILED, **key, now=self._now(), reason=str(error))
        log.warning("billing.not_moved", customer=move.customer, to=move.to_plan, error=str(error))
        return Failure(move.customer, str(error))

    # --- with Stripe

    async def _move_subscribers(self, choice: Choice, moves: Sequence[Move]) -> tuple[int, list[Failure]]:
        """A few at once. Whoever Stripe is down for is a failure only while it answers others."""
        limit = asyncio.Semaphore(ASKED_AT_ONCE)

        async def one(move: Move) -> int | Failure:
            async with limit:
                return await self._move_subscriber(choice, move)

        outcomes = await asyncio.gather(*(one(move) for move in moves), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        return sum(outcome for outcome in outcomes if isinstance(outcome, int)), failed

    async def _move_subscriber(self, choice: Choice, move: Move) -> int | Failure:
        gateway = require_gateway(self.gateway)
        try:
            for pause in (*PAUSES_SECONDS, None):
                try:
                    return await self._ask_and_follow(gateway, choice, move)
                except Unavailable as error:
                    if pause is None:
                        raise
                    asked = error.fields.get("retry_after")
                    await asyncio.sleep(max(pause, asked if isinstance(asked, int) else 0))
        except (ConfigurationError, Paused):
            raise
        except TollhouseError as error:
            if isinstance(error, Unavailable):
                await gateway.require_answering()  # else it is this customer alone, who must not hold up the rest
            return await self._failed(move, error)
        return 0

    async def _ask_and_follow(self, gateway: StripeGateway, choice: Choice, move: Move) -> int:
        """The subscription at Stripe, where it is not there yet; then our books, if nobody wrote to them meanwhile."""
        async with self.store.reading() as tx:
            await require_applying(tx)
            link = await link_of_customer(tx, move.customer)
            target = target_of(self.catalog, choice, await read_state(tx, self.catalog, move.customer, self._now()))
            prices = await read_prices(tx, self.catalog)
        if link is None or target is None or move.subscription is None:
            return 0  # moved, or unlinked, meanwhile
        found = await at_stripe.read(gateway, move.subscription)
        mapped = prices.item_of(found)
        _require_movable(move, found, mapped is not None)
        item = mapped[0] if mapped is not None else found.items[0]
        price = await self._price_id(gateway, target, item)
        metadata = {PLAN_KEY: target.plan, VERSION_KEY: str(target.version)}
        if item.price.id != price or any(found.metadata.get(name) != value for name, value in metadata.items()):
            begun = await self._begin(move)
            key = f"tollhouse-move-{found.id}-{begun}-{price}-{target.version}"
            found = await at_stripe.move(gateway, found.id, item, price, metadata, key)
            item = next((each for each in found.items if each.id == item.id), item)
        async with self.store.transaction() as tx:
            await require_applying(tx)
            if not await tx.execute(queries.PASS_FENCE, id=link.id, sync_seq=link.sync_seq):
                raise Unavailable(f"{link.id} was synchronised by somebody else meanwhile", code="fence_lost")
            await tx.execute(
                queries.MOVE_SUBSCRIPTION, cell=cell_of(move.customer), customer=move.customer, id=found.id,
                plan=target.plan, version=target.version, price=item.price.id,
                amount_minor=item.price.amount_minor * item.quantity,
            )  # fmt: skip
            return await self._move_account(tx, choice, move)

    async def _begin(self, move: Move) -> int:
        """When this move was begun: the same for everybody who goes on with it, another when it is made once more."""
        key = key_of(move, cell_of(move.customer))
        async with self.store.transaction() as tx:
            await tx.execute(queries.BEGUN, **key, now=self._now())
            row = await tx.fetch_one(queries.READ_BEGUN, **key)
        return int(row["begun_at"]) if row is not None else 0

    async def _price_id(self, gateway: StripeGateway, target: PlanVersion, item: Item) -> str:
        place = (target.plan, item.price.every, item.price.currency)
        if place not in self._prices:
            wanted = next((p for p in target.prices if (p.every, p.currency) == place[1:]), None)
            if wanted is None:
                raise Conflict(
                    f"{target.plan} has no price in {place[2]} for a {place[1]}", code="no_such_price",
                    fix="add one to the plan, or let this customer choose another plan",
                )  # fmt: skip
            till = Till(self.store, self.catalog, gateway, self.url, 0, 0)
            self._prices[place] = await price_id_of(till, target, wanted)
        return self._prices[place]

    async def _finish_begun(self) -> None:
        """Moves that were asked of Stripe, and that its own event has since brought into our books."""
        last: dict[str, str | int] = {
            "cell": -1, "customer": "", "from_plan": "", "from_version": 0, "to_plan": "", "to_version": 0,
        }  # fmt: skip
        while True:
            async with self.store.reading() as tx:
                rows = await tx.fetch(queries.BEGUN_AFTER, **last, most=MOVED_AT_ONCE)
            if not rows:
                return
            for row in rows:
                last = {name: row[name] for name in last}
                async with self.store.transaction() as tx:
                    state = (await open_book(tx, self.catalog, row["customer"], self._now())).state
                    if (state.plan, state.plan_version) == (row["to_plan"], row["to_version"]):
                        await tx.execute(queries.MOVED, **last, now=self._now())


def _require_movable(move: Move, found: Subscription, mapped: bool) -> None:
    """Stripe's own word about what the preview said by our books. Raises Conflict."""
    if not found.live or not mapped or found.cancel_at_period_end or found.cancel_at is not None or found.later:
        raise Conflict(
            f"{found.id} is not at Stripe as our books have it (it is {found.status})", code="out_of_step",
            fix=f"run `tollhouse stripe reconcile --customer {move.customer}`, then this again",
        )  # fmt: skip
