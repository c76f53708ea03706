"""Recorded lives whose events come in any order, not at all, or twice: each ends as Stripe says, every lot as the catalogue says.

The ends are written out here by hand. `make torture` permutes windows of six; what it has done is noted, so that it goes on
where it was stopped.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.billing.lives import LIVES, Replay, Stage
from tests.billing.world import World, opened
from tests.support.databases import new_sqlite
from tollhouse.billing.reconciling import Reconciler, begin

WINDOW = 3
LONG_WINDOW = 6
NOTES = Path(os.environ.get("TOLLHOUSE_TORTURE_NOTES", ".torture"))

Event = tuple[int, dict[str, Any]]
"""The stage at which it happened, and what Stripe sends."""


class End(msgspec.Struct, frozen=True):
    """How a life ends: plan, standing, amounts of the lots that are left, statuses of the invoices."""

    plan: str
    standing: str
    lots: tuple[int, ...]
    invoices: tuple[str, ...]


ENDS = {
    "whole": End("free", "good", (15_000,), ("paid",) * 3),
    "year": End("premium", "good", (500,), ("paid",) * 2),
    "trial": End("starter", "good", (1_000,), ("paid",) * 2),
    "refund": End("free", "good", (1_000,), ("paid",)),
}


def end_of(found: dict[str, Any]) -> End:
    return End(
        found["plan"][0], found["plan"][2], tuple(lot[0] // 1000 for lot in found["lots"]),
        tuple(invoice[1] for invoice in found["invoices"]),
    )  # fmt: skip


class Told:
    """A life as the list of its events, and how it ends when they come one after the other."""

    def __init__(self, world: World, stages: list[Stage]) -> None:
        self.replay = Replay(world)
        self.stages = stages
        self.events: list[Event] = [(number, event) for number, stage in enumerate(stages) for event in stage.events]
        self.expected: dict[str, Any] = {}

    async def live(self, arrivals: Sequence[tuple[int, Sequence[dict[str, Any]]]], *, reconciled: bool = False) -> Any:
        """Each group of events arrives at its stage and is handled before the next; then the end state."""
        replay = self.replay
        customer, stripe_id = await replay.new_life()
        for number, group in enumerate_stages(arrivals, len(self.stages)):
            replay.at(self.stages[number])
            await replay.receive(stripe_id, list(group))
            await replay.again.work()
        if reconciled:
            await self._reconcile(stripe_id)
        return await replay.again.end_state(customer)

    async def _reconcile(self, stripe_id: str) -> None:
        store = self.replay.world.store
        async with store.transaction() as tx:
            run = await begin(
                tx, by_whom="test", why="dropped", dry_run=False, now=store.clock.now_ms(), only=stripe_id
            )
        run, _ = await Reconciler(store, self.replay.again.catalog, self.replay.stripe).step(run)
        assert run.finished_at is not None

    def in_order(self) -> list[tuple[int, list[dict[str, Any]]]]:
        return [(number, [event]) for number, event in self.events]


def enumerate_stages(
    arrivals: Sequence[tuple[int, Sequence[dict[str, Any]]]], stages: int
) -> Iterator[tuple[int, Sequence[dict[str, Any]]]]:
    """The arrivals, and every stage at which nothing arrives: time passes then too."""
    for number in range(stages):
        here = [group for stage, group in arrivals if stage == number]
        yield from ((number, group) for group in here or [()])


def permuted(events: list[Event], start: int, order: Sequence[int]) -> list[tuple[int, list[dict[str, Any]]]]:
    """What comes before the window at once, each event of the window by itself in this order, then the rest at once.

    Nothing arrives before it has happened: a window that spans stages arrives at the last of them.
    """
    window = events[start : start + len(order)]
    latest = window[-1][0]
    before, after = events[:start], events[start + len(order) :]
    arrivals = [(stage, [event for at, event in before if at == stage]) for stage in range(latest)]
    arrivals.append((latest, [event for at, event in before if at == latest]))
    arrivals += [(latest, [window[place][1]]) for place in order]
    last = events[-1][0]
    return arrivals + [(stage, [event for at, event in after if at == stage]) for stage in range(latest, last + 1)]


@pytest.fixture(params=LIVES)
async def told(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Told]:
    """One of the lives, ended as it should. On SQLite; `test_any_order.py` lives samples of them on PostgreSQL."""
    async with opened(new_sqlite(tmp_path), quick=True) as world:
        told = Told(world, await LIVES[request.param](world))
        told.expected = await told.live(told.in_order())
        assert end_of(told.expected) == ENDS[request.param]
        yield told


async def test_every_order_within_every_window_ends_the_same(told: Told) -> None:
    lives = 0
    for start in range(len(told.events) - WINDOW + 1):
        for order in itertools.permutations(range(WINDOW)):
            assert await told.live(permuted(told.events, start, order)) == told.expected, (start, order)
            lives += 1
    assert lives == 6 * (len(told.events) - 2) > 6


async def test_every_event_dropped_is_made_good_by_reconciliation(told: Told) -> None:
    for dropped in range(len(told.events)):
        arrivals = [arrival for number, arrival in enumerate(told.in_order()) if number != dropped]
        assert await told.live(arrivals, reconciled=True) == told.expected, told.events[dropped]
    assert await told.live([], reconciled=True) == told.expected


async def test_every_event_doubled_counts_once(told: Told) -> None:
    for doubled in range(len(told.events)):
        arrivals = told.in_order()
        arrivals.insert(doubled, arrivals[doubled])
        assert await told.live(arrivals) == told.expected, told.events[doubled]


class Notes:
    """How far the long windows of one life have been lived, kept from run to run."""

    def __init__(self, name: str) -> None:
        NOTES.mkdir(exist_ok=True)
        self.file = NOTES / f"windows-{name}"

    def done(self) -> int:
        return int(self.file.read_text()) if self.file.exists() else 0

    def note(self, done: int) -> None:
        self.file.write_text(str(done))

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)


@pytest.mark.torture
@pytest.mark.timeout(0)
async def test_every_order_within_long_windows_ends_the_same(told: Told, request: pytest.FixtureRequest) -> None:
    notes = Notes(request.node.callspec.id)
    for start in range(notes.done(), len(told.events) - LONG_WINDOW + 1):
        for order in itertools.permutations(range(LONG_WINDOW)):
            assert await told.live(permuted(told.events, start, order)) == told.expected, (start, order)
        notes.note(start + 1)
    notes.forget()
