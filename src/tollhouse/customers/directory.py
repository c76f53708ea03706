"""Which customer is meant: references already known, kept in memory for the hot path."""

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from tollhouse.customers import queries
from tollhouse.customers.actions import customer_not_found, may_be_external
from tollhouse.kernel.errors import NotFound
from tollhouse.kernel.ids import is_id
from tollhouse.store import Store

MOST_KEPT = 100_000


class Directory:
    """References (`usr_…`, `external_id`) and their customers, the most recently used 100,000.

    Only what was found is kept, never an absence: an external id stays its customer's, and so does an owner.
    """

    def __init__(self, store: Store, most: int = MOST_KEPT) -> None:
        self._store = store
        self._most = most
        self._kept: OrderedDict[str, str] = OrderedDict()

    def known(self, reference: str) -> str | None:
        """The customer's id when it needs no SELECT: a `cus_` id itself (whether it exists is not said), or a kept one."""
        if reference.startswith("cus_"):
            return reference if is_id(reference, "cus") else None
        found = self._kept.get(reference)
        if found is not None:
            self._kept.move_to_end(reference)
        return found

    async def lookup(self, references: Iterable[str]) -> dict[str, str]:
        """Customer ids by reference, with one SELECT for everything not known yet; who does not exist is left out."""
        found: dict[str, str] = {}
        misses: list[str] = []
        for reference in dict.fromkeys(references):
            customer = self.known(reference)
            if customer is not None:
                found[reference] = customer
            elif may_be_external(reference) and not reference.startswith("cus_"):
                misses.append(reference)
        if misses:
            found |= await self._read(misses)
        return found

    async def find(self, reference: str) -> str:
        """One customer's id. Raises NotFound `customer_not_found` when the reference names nobody."""
        customer = self.known(reference) or (await self.lookup([reference])).get(reference)
        if customer is None:
            raise self.unknown(reference)
        return customer

    @staticmethod
    def unknown(reference: str) -> NotFound:
        """The error for a reference that names nobody."""
        return customer_not_found(reference)

    async def _read(self, misses: list[str]) -> dict[str, str]:
        async with self._store.reading() as tx:
            statement = queries.RESOLVE_SQLITE if tx.dialect == "sqlite" else queries.RESOLVE_POSTGRES
            rows = await tx.fetch(statement, references=msgspec.json.encode(misses).decode())
        read: dict[str, str] = {}
        for row in rows:
            read.setdefault(row["reference"], row["customer"])
        self._kept |= read
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return read

    def __len__(self) -> int:
        return len(self._kept)
