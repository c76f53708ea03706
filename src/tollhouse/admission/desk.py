"""The front of the room: hand in an ask, get the answer. One desk a process."""

import asyncio
import secrets
from time import monotonic

import msgspec

from tollhouse.admission.aside import Aside
from tollhouse.admission.deciding import decide
from tollhouse.admission.lanes import Lane
from tollhouse.admission.lapsing import lapse_due
from tollhouse.admission.model import Answer, Ask, HoldTerms, Operation, Outcome, Waiter
from tollhouse.admission.ports import open_port
from tollhouse.admission.pricing import Charge, PriceList
from tollhouse.admission.refusals import RefusalCounter
from tollhouse.catalog.model import Catalog
from tollhouse.ledger.book import open_book
from tollhouse.store import cell_of
from tollhouse.store.opening import AnyStore

DEADLINE_SECONDS = 15.0

_decode_answer = msgspec.json.Decoder(Answer).decode


def own_key() -> str:
    """A key for a request that came without one; clients' keys never begin with `~`."""
    return "~" + secrets.token_hex(12)


class Admission:
    """May this customer do this now? Then debit and log it. `lanes` batchers share one bounded cache size."""

    def __init__(self, store: AnyStore, catalog: Catalog, *, lanes: int, cache_size: int) -> None:
        self.store = store
        self.catalog = catalog
        self.prices = PriceList(catalog)
        self.refusals = RefusalCounter()
        self._aside = Aside(store, catalog, self._count_refusal)
        self.taken = 0
        """How many asks this process has queued since its start."""
        self._lanes = [
            Lane(
                open_port(store), catalog, store.clock, self._aside.step, self._aside.waiting,
                self._count_refusal, cache_size // lanes,
            )
            for _ in range(lanes)
        ]  # fmt: skip

    def _count_refusal(self, ask: Ask, code: str, now: int) -> None:
        self.refusals.count(ask.customer, ask.action, code, now)

    def submit(
        self, operation: Operation, customer: str, charge: Charge, key: str | None, fingerprint: bytes,
        metadata: str | None = None, terms: HoldTerms | None = None,
    ) -> "asyncio.Future[Outcome]":  # fmt: skip
        """Queue an admission or a hold; the future answers, or raises KeyReused, NotFound, Unavailable."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.put(future, operation, customer, charge, key, fingerprint, metadata, terms)
        return future

    def put(
        self, waiter: Waiter, operation: Operation, customer: str, charge: Charge, key: str | None, fingerprint: bytes,
        metadata: str | None = None, terms: HoldTerms | None = None,
    ) -> None:  # fmt: skip
        """As `submit`, for a caller that is told without a future."""
        ask = Ask(
            customer, charge.action, charge.cost, charge.debits, operation, key or own_key(), fingerprint,
            monotonic() + DEADLINE_SECONDS, waiter, metadata, terms,
        )  # fmt: skip
        self.taken += 1
        self._lanes[cell_of(customer) % len(self._lanes)].put(ask)

    async def check(self, customer: str, charge: Charge) -> Answer:
        """What `admit` would answer at this moment, without debit and without a key."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        ask = Ask(customer, charge.action, charge.cost, charge.debits, "admit", "~check", b"", 0.0, future)
        async with self.store.transaction() as tx:
            book = await open_book(tx, self.catalog, customer, self.store.clock.now_ms())
            await lapse_due(tx, self.catalog, book)
            await book.save(tx)
        answer = _decode_answer(decide(book.state, self.catalog, ask, book.now).answer)
        return msgspec.structs.replace(answer, id=None, lease=None)

    def forget(self, customer: str) -> None:
        """This process has changed the account otherwise: decide on the row, not on the copy."""
        self._lanes[cell_of(customer) % len(self._lanes)].forget(customer)

    async def close(self) -> None:
        """Drain: everyone who waits gets an answer, then counts are flushed and connections given back."""
        for lane in self._lanes:
            await lane.close()
        await self._aside.close()
        await self.refusals.flush(self.store)
