"""Events are kept in groups, and nobody is answered before his own is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tollhouse.billing.intake import Intake
from tollhouse.billing.model import WebhookEvent
from tollhouse.kernel.errors import Unavailable
from tollhouse.store import ConnectionLost, Sql, open_store
from tollhouse.store.opening import AnyStore

EVENTS = [WebhookEvent(f"evt_{number:03d}", "invoice.paid", f"cus_{number % 7}", False, 1) for number in range(600)]


@pytest.fixture
async def store(schema_url: str) -> AsyncIterator[AnyStore]:
    store = await open_store(schema_url)
    yield store
    await store.close()


async def kept(store: AnyStore) -> list[str]:
    async with store.reading() as tx:
        return [row["id"] for row in await tx.fetch(Sql("select id from inbox where status = 'pending' order by id"))]


class Watched:
    """A store whose transactions are counted, and wait or fail as a test wants."""

    def __init__(self, store: AnyStore) -> None:
        self._store = store
        self.clock = store.clock
        self.commits = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._store.transaction() as tx:
            yield tx
            await self.open.wait()
            if self.failure is not None:
                raise self.failure
        self.commits += 1

    statement = transaction


async def test_what_comes_together_is_kept_in_few_commits(store: AnyStore) -> None:
    watched, bell = Watched(store), asyncio.Event()
    intake = Intake(watched, bell)  # type: ignore[arg-type]

    await asyncio.gather(*(intake.keep(event, b"{}") for event in [*EVENTS, *EVENTS[::-1]]))

    assert await kept(store) == [event.id for event in EVENTS]
    assert watched.commits <= 6 + 3  # a look at those that came again, group by group: were they refused before?
    assert bell.is_set()


async def test_nobody_is_answered_before_the_commit(store: AnyStore) -> None:
    watched = Watched(store)
    watched.open.clear()
    intake = Intake(watched, asyncio.Event())  # type: ignore[arg-type]
    waiting = asyncio.create_task(intake.keep(EVENTS[0], b"{}"))
    later = asyncio.create_task(intake.keep(EVENTS[1], b"{}"))

    done, _ = await asyncio.wait({waiting, later}, timeout=0.2)
    assert not done
    assert await kept(store) == []
    watched.open.set()
    await asyncio.gather(waiting, later)

    assert await kept(store) == ["evt_000", "evt_001"]


async def test_a_commit_that_fails_answers_nobody_as_kept(store: AnyStore) -> None:
    watched = Watched(store)
    intake = Intake(watched, asyncio.Event())  # type: ignore[arg-type]
    watched.failure = ConnectionLost("the database went away")

    outcomes = await asyncio.gather(*(intake.keep(event, b"{}") for event in EVENTS[:20]), return_exceptions=True)

    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert await kept(store) == []
    watched.failure = None
    await asyncio.gather(*(intake.keep(event, b"{}") for event in EVENTS[:20]))
    assert await kept(store) == [event.id for event in EVENTS[:20]]


@pytest.mark.parametrize("named", [("evt_bad", None), ("evt_bad", "x" * 101), ("evt_bad\x1f", "invoice.paid")])
async def test_one_event_that_cannot_be_kept_spoils_no_other(store: AnyStore, named: tuple[str, str | None]) -> None:
    intake = Intake(store, asyncio.Event())
    bad = WebhookEvent(*named, "cus_1", False, 1)  # type: ignore[arg-type]

    outcomes = await asyncio.gather(
        *(intake.keep(event, b"{}") for event in (EVENTS[0], bad, EVENTS[1])), return_exceptions=True
    )

    assert (outcomes[0], outcomes[2]) == (None, None)
    whole = [bad.id] if outcomes[1] is None else []  # SQLite takes what PostgreSQL refuses
    assert await kept(store) == ["evt_000", "evt_001", *whole]
    assert not whole or bad.type is not None


async def test_a_caller_that_goes_away_holds_up_nobody(store: AnyStore) -> None:
    watched = Watched(store)
    watched.open.clear()
    intake = Intake(watched, asyncio.Event())  # type: ignore[arg-type]
    leaving, staying = (asyncio.create_task(intake.keep(event, b"{}")) for event in EVENTS[:2])
    await asyncio.sleep(0.05)

    leaving.cancel()
    watched.open.set()
    await staying

    assert await kept(store) == ["evt_000", "evt_001"]
