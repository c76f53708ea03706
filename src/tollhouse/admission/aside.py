"""Customers that stepped out of their lane: decided one by one under the row's lock, beside the batches.

Reached when a row is locked by somebody else, when a customer was found stale twice, or when a hold or lease of it has
lapsed. Slower than a batch, and never in another customer's way.
"""

import asyncio
from time import monotonic

import structlog

from tollhouse.admission import queries
from tollhouse.admission.deciding import Decision, decide, replayed
from tollhouse.admission.lanes import Refused, fail, key_reused, succeed, unknown_customer
from tollhouse.admission.lapsing import lapse_due
from tollhouse.admission.model import Ask, Outcome
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import KeyReused, TollhouseError, Unavailable
from tollhouse.ledger.book import Book, book_of, encode, first_answer, keep_answer
from tollhouse.store import Store, StoreFailure, Tx, cell_of

LOCKED_PAUSE_SECONDS = 0.02
FAILURE_PAUSE_SECONDS = 0.1

log = structlog.get_logger(__name__)

Result = Outcome | TollhouseError


class Aside:
    """The customers being handled one by one, each by one task, their asks in the order of arrival."""

    def __init__(self, store: Store, catalog: Catalog, refused: Refused) -> None:
        self._store = store
        self._catalog = catalog
        self._refused = refused
        self.waiting: dict[str, dict[Ask, None]] = {}
        """The asks of every customer that stands aside; whoever is in it has its asks answered here for now."""
        self._tasks: set[asyncio.Task[None]] = set()

    def step(self, customer: str, asks: list[Ask]) -> None:
        """Take these asks (again: an ask stands here once)."""
        queue = self.waiting.get(customer)
        if queue is not None:
            queue.update(dict.fromkeys(asks))
            return
        self.waiting[customer] = dict.fromkeys(asks)
        task = asyncio.get_running_loop().create_task(self._handle(customer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait until everyone here has an answer."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _handle(self, customer: str) -> None:
        queue = self.waiting[customer]
        try:
            while queue:
                asks = [ask for ask in queue if not ask.future.done()]
                pause = await self._try(customer, asks) if asks else 0.0
                self._give_up_late(asks)
                for ask in [ask for ask in queue if ask.future.done()]:
                    del queue[ask]
                await asyncio.sleep(pause)
        finally:
            del self.waiting[customer]

    async def _try(self, customer: str, asks: list[Ask]) -> float:
        """Answer them; the seconds to wait before another try. Of an unexpected failure only the culprit hears (rule 4)."""
        try:
            return 0.0 if await self._answer(customer, asks) else LOCKED_PAUSE_SECONDS
        except StoreFailure:
            return FAILURE_PAUSE_SECONDS
        except Exception as error:
            if len(asks) > 1 and not isinstance(error, Unavailable):
                middle = len(asks) // 2
                return max(await self._try(customer, asks[:middle]), await self._try(customer, asks[middle:]))
            log.exception("aside.failed", customer=customer)
            for ask in asks:
                fail(ask, error)
            return 0.0

    async def _answer(self, customer: str, asks: list[Ask]) -> bool:
        """Decide them all in one transaction; False when the row is somebody else's at this moment."""
        async with self._store.transaction() as tx:
            row = await tx.fetch_one(queries.LOCK_ACCOUNT_OR_SKIP, cell=cell_of(customer), customer=customer)
            if row is None:
                there = await tx.fetch_one(queries.ACCOUNT_EXISTS, cell=cell_of(customer), customer=customer)
                if there is not None:
                    return False
                results: list[Result] = [unknown_customer(customer)] * len(asks)
            else:
                book = book_of(customer, row, self._catalog, self._store.clock.now_ms())
                await lapse_due(tx, self._catalog, book)
                results = [await self._decide(tx, book, ask) for ask in asks]
                await book.save(tx)
        for ask, result in zip(asks, results, strict=True):
            if isinstance(result, Outcome):
                if not result.allowed:
                    self._refused(ask, result.code or "", self._store.clock.now_ms())
                succeed(ask, result)
            else:
                fail(ask, result)
        return True

    async def _decide(self, tx: Tx, book: Book, ask: Ask) -> Result:
        """One ask under the lock: its first answer if it had one, else a decision taken into the book."""
        try:
            first = await first_answer(tx, book.customer, ask.operation, ask.key, ask.fingerprint)
        except KeyReused:
            return key_reused(ask.key)
        if first is not None:
            answer = first.encode()
            return Outcome(answer if answer in ask.tried else replayed(answer), True)
        try:
            decision = decide(book.state, self._catalog, ask, book.now)
        except TollhouseError as error:
            return error
        if decision.shortage is not None:
            return Outcome(decision.answer, False, decision.shortage.code, decision.limit)
        ask.tried = (*ask.tried, decision.answer)  # should the commit's outcome stay unknown
        book.add(decision.state, decision.entries)
        await keep_answer(tx, book, ask.operation, ask.key, ask.fingerprint, decision.answer.decode())
        await self._write_slots(tx, book, ask, decision)
        return Outcome(decision.answer, True, None, decision.limit)

    async def _write_slots(self, tx: Tx, book: Book, ask: Ask, decision: Decision) -> None:
        last = decision.entries[-1]
        if ask.terms is not None:
            await tx.execute(
                queries.INSERT_HOLD, cell=book.cell, customer=book.customer, seq=last.seq,
                on_expiry=ask.terms.on_expiry, expires_at=last.at + ask.terms.ttl_ms,
            )  # fmt: skip
        if decision.lease is not None:
            await tx.execute(
                queries.INSERT_LEASE, cell=book.cell, customer=book.customer, seq=last.seq, action=ask.action,
                slots=encode(decision.lease.slots).decode(), ttl_ms=decision.lease.ttl_ms, at=last.at,
                expires_at=last.at + decision.lease.ttl_ms,
            )  # fmt: skip

    def _give_up_late(self, asks: list[Ask]) -> None:
        now = monotonic()
        for ask in asks:
            if now > ask.deadline:
                fail(
                    ask,
                    StoreFailure(
                        "the customer's account stayed locked by another process", fix="send it again with the same key"
                    ),
                )
