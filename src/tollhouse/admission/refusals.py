"""Refusals write nothing when they happen: they are counted in memory and flushed as one row per minute."""

from collections import Counter

from tollhouse.admission import queries
from tollhouse.kernel.clock import MINUTE
from tollhouse.store import Store, Tx, Value, cell_of

MOST_KINDS = 50_000


class RefusalCounter:
    """Counts by customer, action, reason and minute. Past 50,000 kinds between two flushes, further kinds are dropped."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int, str, str]] = Counter()

    def count(self, customer: str, action: str, reason: str, now: int) -> None:
        """One more refusal."""
        place = (customer, now // MINUTE * MINUTE, action, reason)
        if place in self._counts or len(self._counts) < MOST_KINDS:
            self._counts[place] += 1

    async def flush(self, store: Store) -> int:
        """Write what was counted; the number of rows. What could not be written is counted on."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return 0
        rows: list[dict[str, Value]] = [
            {
                "cell": cell_of(customer),
                "customer": customer,
                "minute": minute,
                "action": action,
                "reason": reason,
                "refused": refused,
            }
            for (customer, minute, action, reason), refused in sorted(counts.items())
        ]
        try:
            async with store.transaction() as tx:
                await tx.execute_many(queries.COUNT_REFUSALS, rows)
        except BaseException:
            self._counts += counts
            raise
        return len(rows)


async def refusals_of(tx: Tx, customer: str, since: int, most: int) -> list[tuple[int, str, str, int]]:
    """(minute, action, reason, refused) of a customer, newest first."""
    rows = await tx.fetch(queries.REFUSALS_SINCE, cell=cell_of(customer), customer=customer, since=since, most=most)
    return [(row["minute"], row["action"], row["reason"], row["refused"]) for row in rows]
