"""The one test clock of an installation: an offset in the database, outside production only, that only grows (rule 6)."""

from tollhouse.kernel.errors import InvalidRequest
from tollhouse.store.engine import Store
from tollhouse.store.sql import Sql

LONGEST_STEP_MS = 400 * 86_400_000

READ = Sql("select offset_ms from test_clock where id = 1")
ADVANCE = Sql(
    "insert into test_clock (id, offset_ms) values (1, :by)"
    " on conflict (id) do update set offset_ms = test_clock.offset_ms + excluded.offset_ms"
)


async def follow(store: Store) -> None:
    """Take over the offset that any process has set."""
    async with store.reading() as tx:
        row = await tx.fetch_one(READ)
    if row is not None:
        store.clock.test_offset_ms = max(store.clock.test_offset_ms, row["offset_ms"])


async def advance(store: Store, by_ms: int) -> int:
    """Move the clock forward for every process; the time after it. Raises InvalidRequest for a step back or too long."""
    if not 0 < by_ms <= LONGEST_STEP_MS:
        raise InvalidRequest(
            "the test clock moves forward, by 400 days at most", code="invalid_step", fix='send by such as "31d"'
        )
    async with store.transaction() as tx:
        await tx.execute(ADVANCE, by=by_ms)
    await follow(store)
    return store.clock.now_ms()
