"""The database's clock: followed, doubted when it jumps, and moved forward only by the test clock (rule 6)."""

import asyncio

import pytest

from tollhouse.kernel.errors import InvalidRequest
from tollhouse.migrations import metadata
from tollhouse.store import open_store, schema, test_clock
from tollhouse.store.clock import DatabaseClock

DAY = 86_400_000


class Monotonic:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1_000

    def __call__(self) -> int:
        return self.at


def measured_clock() -> tuple[DatabaseClock, Monotonic]:
    own = Monotonic()
    clock = DatabaseClock(own)
    clock.measured(500_000, own.at, own.at)
    return clock, own


def test_between_two_measurements_our_own_clock_goes_on() -> None:
    clock, own = measured_clock()
    own.at += 2_500
    assert clock.now_ms() == 502_500


def test_small_differences_are_followed() -> None:
    clock, own = measured_clock()
    own.at += 10_000
    clock.measured(510_200, own.at, own.at)
    assert clock.trusted
    assert clock.now_ms() == 510_200


def test_a_jump_of_more_than_five_seconds_is_not_believed() -> None:
    clock, own = measured_clock()
    clock.measured(500_000 + 5_001, own.at, own.at)
    assert not clock.trusted
    assert clock.now_ms() == 500_000


def test_three_measurements_that_agree_are_believed_again() -> None:
    clock, own = measured_clock()
    for _ in range(3):
        clock.measured(560_000, own.at, own.at)
    assert clock.trusted
    assert clock.now_ms() == 560_000


def test_measurements_that_disagree_among_themselves_are_never_believed() -> None:
    clock, own = measured_clock()
    for jump in (60_000, 90_000, 120_000, 150_000):
        clock.measured(500_000 + jump, own.at, own.at)
    assert not clock.trusted


def test_a_clock_that_was_never_read_tells_nothing() -> None:
    with pytest.raises(RuntimeError, match="not been read"):
        DatabaseClock(Monotonic()).now_ms()


async def test_every_process_follows_the_test_clock(database_url: str) -> None:
    await asyncio.to_thread(schema.upgrade, database_url)
    here, elsewhere = await open_store(database_url), await open_store(database_url)
    before = here.clock.now_ms()
    assert await test_clock.advance(here, 31 * DAY) >= before + 31 * DAY
    await test_clock.follow(elsewhere)
    assert abs(elsewhere.clock.now_ms() - here.clock.now_ms()) < 5_000
    await test_clock.advance(elsewhere, DAY)
    await test_clock.follow(here)
    assert here.clock.test_offset_ms == 32 * DAY
    await here.close()
    await elsewhere.close()


@pytest.mark.parametrize("step", [0, -1, 401 * DAY])
async def test_the_test_clock_never_goes_back(database_url: str, step: int) -> None:
    await asyncio.to_thread(schema.upgrade, database_url)
    store = await open_store(database_url)
    with pytest.raises(InvalidRequest, match="forward"):
        await test_clock.advance(store, step)
    assert store.clock.test_offset_ms == 0
    await store.close()


async def test_the_migrations_make_what_the_tables_say(database_url: str) -> None:
    """The schema that `db upgrade` makes and the metadata in the code are one, on both databases."""
    status = await asyncio.to_thread(schema.upgrade, database_url)
    assert status.up_to_date
    assert await asyncio.to_thread(schema.differences, database_url, metadata) == []
