"""Lanes: decide in memory, save by compare-and-set, in batches.

A lane takes what has queued while its last batch was saving (no timer, at most 256), decides on cached states, and saves
with one statement. What was stale is loaded and decided again. A refusal is only given after one SELECT has read the
customer's version and keys (rule 1). Customers that are locked, contended, or have a lapsed hold or lease step aside
and are handled one by one (`aside.py`), so that they never hold up a batch.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic

import msgspec
import structlog

from tollhouse.admission.batch import Batch
from tollhouse.admission.deciding import Decision, decide, replayed
from tollhouse.admission.model import Ask, Loaded, Outcome
from tollhouse.admission.ports import Port
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import KeyReused, NotFound, TollhouseError, Unavailable
from tollhouse.ledger.book import decode_state
from tollhouse.ledger.model import State
from tollhouse.store import ConnectionLost, LockedByAnother, StoreFailure
from tollhouse.store.clock import DatabaseClock

MOST_IN_BATCH = 256
MOST_QUEUED = 20_000
STALE_TRIES = 2
OFTEN = 0.04
"""So many copies out of date are one in each batch: what they cost is a second save, and asking first only a SELECT."""
LEARNING = 0.2
RETRY_PAUSE_SECONDS = 0.1

log = structlog.get_logger(__name__)

StepAside = Callable[[str, list[Ask]], None]
Refused = Callable[[Ask, str, int], None]


class Turn(msgspec.Struct, eq=False):
    """One customer's part of a round: the version it was decided on, the states, what was allowed and refused."""

    version: int
    before: State
    state: State
    decided: list[tuple[Ask, Decision]] = []
    refused: list[tuple[Ask, Decision]] = []


class Round:
    """One pass over some asks: what was decided, for whom, and who waits on the answer of another ask."""

    def __init__(self) -> None:
        self.turns: dict[str, Turn] = {}
        self.same_key: dict[tuple[str, str, str], tuple[Ask, Decision]] = {}
        self.followers: dict[tuple[str, str, str], list[Ask]] = {}
        self.absent: set[str] = set()  # the database has no such customer
        self.lost: set[str] = set()  # forgotten while this round was waiting: to be loaded again

    def forget(self, customer: str) -> None:
        """Take back every decision for this customer; it will be decided again from a fresh state."""
        self.turns.pop(customer, None)
        for table in (self.same_key, self.followers):
            for place in [place for place in table if place[0] == customer]:
                del table[place]


class Lane:
    """One batcher with one way to the database and its own bounded cache of states."""

    def __init__(
        self,
        port: Port,
        catalog: Catalog,
        clock: DatabaseClock,
        step_aside: StepAside,
        aside: Mapping[str, object],
        refused: Refused,
        cache_size: int,
    ) -> None:
        self._port = port
        self._catalog = catalog
        self._clock = clock
        self._step_aside = step_aside
        self._aside = aside
        self._refused = refused
        self._cache_size = cache_size
        self._cache: OrderedDict[str, tuple[int, State]] = OrderedDict()
        self._queue: deque[Ask] = deque()
        self._running: asyncio.Task[None] | None = None
        self._out_of_date = 0.0  # the share of copies that another process had changed, lately

    def put(self, ask: Ask) -> None:
        """Queue an ask; it is answered through its future, at once with Unavailable when too many wait already."""
        if len(self._queue) >= MOST_QUEUED:
            fail(ask, Unavailable("too many requests wait already", code="overloaded", fix="send it again in a moment"))
            return
        self._queue.append(ask)
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._drain())

    def forget(self, customer: str) -> None:
        """Another writer of this process has changed the account: do not decide on the copy."""
        self._cache.pop(customer, None)

    async def close(self) -> None:
        """Answer what has queued, then give the connection back."""
        if self._running is not None:
            await self._running
        await self._port.close()

    async def _drain(self) -> None:
        while self._queue:
            await asyncio.sleep(0)  # let every request that has arrived queue first
            batch = [self._queue.popleft() for _ in range(min(MOST_IN_BATCH, len(self._queue)))]
            await self._answer_all(batch)

    async def _answer_all(self, asks: list[Ask]) -> None:
        """Every ask gets an answer or an error, whatever happens (rule 4)."""
        try:
            await self._work(asks)
        except Exception as error:
            waiting = [ask for ask in asks if not ask.future.done() and ask.customer not in self._aside]
            if len(waiting) > 1 and not isinstance(error, Unavailable):
                log.warning("lane.bisecting", asks=len(waiting), error=repr(error))
                await self._answer_all(waiting[: len(waiting) // 2])
                await self._answer_all(waiting[len(waiting) // 2 :])
                return
            for ask in waiting:
                self._cache.pop(ask.customer, None)
                fail(ask, error)

    async def _work(self, asks: list[Ask]) -> None:
        """Decide and save until nothing is left: what was stale goes around again, twice at most."""
        stale: set[str] = set()
        tries = 0
        uncertain = False
        pending = asks
        while pending := self._without_aside(pending):
            self._clock.require_trusted()
            try:
                stale = await self._pass_or_set_aside(pending, stale, lock=uncertain)
                uncertain = False
            except StoreFailure as error:
                uncertain = uncertain or isinstance(error, ConnectionLost)
                stale = {ask.customer for ask in pending}
                await asyncio.sleep(RETRY_PAUSE_SECONDS)
                pending = self._give_up_late(pending, error)
                continue
            pending = [ask for ask in pending if ask.customer in stale and not ask.future.done()]
            tries += 1
            if tries > STALE_TRIES and pending:
                self._move_aside({ask.customer for ask in pending}, pending)

    def _without_aside(self, asks: list[Ask]) -> list[Ask]:
        """Asks of customers that have stepped aside join them, in order."""
        if not self._aside:
            return [ask for ask in asks if not ask.future.done()]
        here: list[Ask] = []
        for ask in asks:
            if ask.future.done():
                continue
            if ask.customer in self._aside:
                self._step_aside(ask.customer, [ask])
            else:
                here.append(ask)
        return here

    def _move_aside(self, customers: set[str], asks: list[Ask]) -> None:
        for customer in customers:
            self._cache.pop(customer, None)
            self._step_aside(customer, [a for a in asks if a.customer == customer and not a.future.done()])

    async def _pass_or_set_aside(self, asks: list[Ask], stale: set[str], *, lock: bool) -> set[str]:
        """One round. Where a row is locked by somebody else its customer steps aside, and the others are to go again."""
        try:
            return await self._pass(asks, stale, lock=lock)
        except LockedByAnother as error:
            waiting = self._give_up_late(asks, error)
            customers = sorted({ask.customer for ask in waiting})
            free = await self._port.free(customers)
            self._move_aside(set(customers) - free, waiting)
            return free

    def _give_up_late(self, asks: list[Ask], error: StoreFailure) -> list[Ask]:
        """Asks whose time is over are answered with the error; the others."""
        now = monotonic()
        for ask in asks:
            if now > ask.deadline:
                self._cache.pop(ask.customer, None)
                fail(ask, error)
        return [ask for ask in asks if not ask.future.done()]

    async def _pass(self, asks: list[Ask], stale: set[str], *, lock: bool) -> set[str]:
        """One round: load what is not cached, decide, confirm refusals, save, answer. Gives the customers found stale."""
        now = self._clock.now_ms()
        cache = self._cache
        unknown = {ask.customer for ask in asks if ask.customer not in cache or ask.customer in stale}
        work = Round()
        if unknown:
            await self._load(unknown, asks, work, now, lock=lock)
            asks = [ask for ask in asks if not ask.future.done()]
        copies_mislead = self._out_of_date > OFTEN
        if copies_mislead:
            await self._freshen({ask.customer for ask in asks if ask.customer not in unknown})
        self._decide_all(asks, work, now)
        doubted = {name for name, turn in work.turns.items() if turn.refused and name not in unknown}
        if doubted:
            await self._confirm(doubted, asks, work, now)
        stale = await self._save(work)
        if not copies_mislead:
            self._learn(len(stale), sum(1 for turn in work.turns.values() if turn.decided))
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return stale | work.lost

    async def _confirm(self, doubted: set[str], asks: Sequence[Ask], work: Round, now: int) -> None:
        """Refusals came from copies: read versions and keys, and decide again where the copy was not the truth (rule 1)."""
        concerned = [ask for ask in asks if ask.customer in doubted and not ask.future.done()]
        await self._load(doubted, concerned, work, now, lock=False)
        wrong = {ask.customer for ask in concerned if ask.future.done()}
        for customer in doubted:
            cached = self._cache.get(customer)
            if cached is None or cached[0] != work.turns[customer].version or customer in self._aside:
                wrong.add(customer)
        if wrong:
            for customer in wrong:
                work.forget(customer)
            self._decide_all([ask for ask in concerned if ask.customer in wrong and not ask.future.done()], work, now)

    async def _load(self, customers: set[str], asks: Sequence[Ask], work: Round, now: int, *, lock: bool) -> None:
        """Read documents and keys; replay what was answered before; set customers with lapsed slots aside."""
        concerned = [ask for ask in asks if ask.customer in customers and not ask.future.done()]
        loaded = await self._port.load(sorted(customers), concerned, now, lock=lock)
        copies = changed = 0
        for customer in customers:
            found = loaded.accounts.get(customer)
            kept = self._cache.get(customer)
            copies += kept is not None
            if found is None:
                self._cache.pop(customer, None)
                work.absent.add(customer)
            elif kept is None or found[0] != kept[0]:
                changed += kept is not None
                self._cache[customer] = (found[0], decode_state(found[1]))
        self._learn(changed, copies)
        answer_known(concerned, loaded)
        if loaded.due:
            self._move_aside(loaded.due, [ask for ask in concerned if not ask.future.done()])

    async def _freshen(self, customers: set[str]) -> None:
        """Read the documents of copies that another process has changed, before deciding on them in vain."""
        copies = {customer: self._cache[customer][0] for customer in customers if customer in self._cache}
        if copies:
            newer = await self._port.newer(copies)
            for customer, (version, text) in newer.items():
                self._cache[customer] = (version, decode_state(text))
            self._learn(len(newer), len(copies))

    def _learn(self, out_of_date: int, copies: int) -> None:
        """Where another process writes the same customers, many copies mislead: then it is cheaper to ask first."""
        if copies:
            self._out_of_date += (out_of_date / copies - self._out_of_date) * LEARNING

    def _decide_all(self, asks: Iterable[Ask], work: Round, now: int) -> None:
        """Decide in order on the states of this round; the second ask with a key waits for the first's answer."""
        turns, same_key, aside = work.turns, work.same_key, self._aside
        for ask in asks:
            customer = ask.customer
            if aside and customer in aside:
                continue
            place = (customer, ask.operation, ask.key)
            if place in same_key:
                work.followers.setdefault(place, []).append(ask)
                continue
            turn = turns.get(customer)
            if turn is None:
                turn = self._turn(ask, work)
                if turn is None:
                    continue
            try:
                decision = decide(turn.state, self._catalog, ask, now)
            except TollhouseError as error:
                fail(ask, error)
                continue
            if decision.shortage is None:
                turn.state = decision.state
                turn.decided.append((ask, decision))
                same_key[place] = (ask, decision)
            else:
                turn.refused.append((ask, decision))

    def _turn(self, ask: Ask, work: Round) -> Turn | None:
        """Begin this customer's turn from the copy; None when there is nobody to decide on."""
        customer = ask.customer
        cached = self._cache.get(customer)
        if cached is None:
            if customer in work.absent:
                fail(ask, unknown_customer(customer))
            else:
                work.lost.add(customer)
            return None
        self._cache.move_to_end(customer)
        version, state = cached
        turn = work.turns[customer] = Turn(version, state, state)
        return turn

    async def _save(self, work: Round) -> set[str]:
        """Write what was allowed and answer; refusals of customers that were not stale are answered too."""
        turns = work.turns
        decided = sorted(customer for customer, turn in turns.items() if turn.decided)
        saved: set[str] = set()
        if decided:
            batch = Batch()
            for customer in decided:
                turn = turns[customer]
                batch.add(customer, turn.version, turn.state, turn.decided)
                batch.tell(customer, turn.before, turn.state, self._catalog)
            saved = await self._written(batch, work)
        stale = set(decided) - saved if len(saved) < len(decided) else set()
        for customer in stale:
            self._cache.pop(customer, None)
        for customer in saved:
            turn = turns[customer]
            self._cache[customer] = (turn.version + 1, turn.state)
            for ask, decision in turn.decided:
                succeed(ask, Outcome(decision.answer, True, None, decision.limit))
        for place, followers in work.followers.items():
            if place[0] in saved:
                answer_followers(*work.same_key[place], followers)
        for customer, turn in turns.items():
            if turn.refused and customer not in stale:
                self._answer_refused(turn.refused)
        return stale

    def _answer_refused(self, refused: list[tuple[Ask, Decision]]) -> None:
        for ask, decision in refused:
            code = decision.shortage.code if decision.shortage else ""
            self._refused(ask, code, self._clock.now_ms())
            succeed(ask, Outcome(decision.answer, False, code, decision.limit))

    async def _written(self, batch: Batch, work: Round) -> set[str]:
        """The customers that were saved. After a lost connection each ask knows which answer may have been saved (rule 5)."""
        try:
            return await self._port.save(batch)
        except ConnectionLost:
            for turn in work.turns.values():
                for ask, decision in turn.decided:
                    ask.tried = (*ask.tried, decision.answer)
            raise


def answer_known(asks: Iterable[Ask], loaded: Loaded) -> None:
    """Asks whose key has had its answer get it again; with another request behind it, an error."""
    for ask in asks:
        known = loaded.keys.get((ask.customer, ask.operation, ask.key))
        if known is None:
            continue
        if bytes(known.fingerprint) != ask.fingerprint:
            fail(ask, key_reused(ask.key))
        else:
            first = known.answer.encode()
            succeed(ask, Outcome(first if first in ask.tried else replayed(first), True))


def answer_followers(first: Ask, decision: Decision, followers: Iterable[Ask]) -> None:
    """Asks that came with the same key in the same batch, after the first was saved."""
    for ask in followers:
        if ask.fingerprint != first.fingerprint:
            fail(ask, key_reused(ask.key))
        else:
            succeed(ask, Outcome(replayed(decision.answer), True))


def key_reused(key: str) -> KeyReused:
    """The error for a key that came back with another request."""
    return KeyReused(
        f"the key {key!r} was used before with another request", fix="send a new key, or the first request again"
    )


def unknown_customer(customer: str) -> NotFound:
    """The error for a customer that does not exist."""
    return NotFound(
        f"there is no customer {customer}", code="customer_not_found", fix="create it first with POST /v1/customers"
    )


def succeed(ask: Ask, outcome: Outcome) -> None:
    """Answer, unless the caller has gone."""
    if not ask.future.done():
        ask.future.set_result(outcome)


def fail(ask: Ask, error: BaseException) -> None:
    """Answer with an error, unless the caller has gone."""
    if not ask.future.done():
        ask.future.set_exception(error)
